//! [`Connection`]: a connection to NATS: bytes out, operations in.

use prism_driver::{ServiceConnection, ServiceDecoder};

use crate::protocol::{Decoder, Malformed, Operation};

pub(crate) type Connection = ServiceConnection<Decoder>;

impl ServiceDecoder for Decoder {
    type Item = Operation;
    type Error = Malformed;

    fn receive(&mut self, bytes: &[u8]) {
        self.receive(bytes);
    }

    fn poll_item(&mut self) -> Result<Option<Operation>, Malformed> {
        self.poll_operation()
    }
}
