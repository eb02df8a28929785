//! Compares with zlib in C: it gives the same verdict on any data, and the same bytes; and with the agreed
//! window it reads what is sent.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use prism_core::{
    ProtocolError, Role,
    deflate::{Deflate, DeflateParams},
};
use prism_fuzz::{
    agreement::Agreement,
    common::{
        Seen,
        deflate::takeover,
        frame::Frame,
        machine::{Machine, limited, quiet},
    },
};

#[derive(Arbitrary, Debug)]
enum Case {
    /// Payloads of compressed messages, each of which may be changed.
    Receive(Vec<Payload>),
    /// Messages to be compressed: bytes, and how often they are repeated.
    Send(Agreement, Vec<(Vec<u8>, u8)>),
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Raw(Vec<u8>),
    /// What a server sends for this message, with some bits flipped.
    Compressed {
        plain: Vec<u8>,
        times: u8,
        level: u8,
        flips: Vec<u16>,
        is_cut: Option<u16>,
    },
}

const LIMIT: usize = 100_000;

fuzz_target!(|input: Case| match input {
    Case::Receive(payloads) => receive(&payloads),
    Case::Send(agreement, messages) => send(agreement, &messages),
});

fn receive(payloads: &[Payload]) {
    let mut ours = Machine::new(Role::Client, &limited(LIMIT))
        .with_deflate(&Arc::new(Deflate::default()), takeover());
    let mut history = Vec::new();
    for payload in payloads.iter().map(bytes).filter(|payload| !payload.is_empty()) {
        let seen = ours.receive_frames([Frame::binary(&payload).compressed()]);
        let expected = match zlib(&payload, &history, 15) {
            Ok(plain) => Seen::Binary(plain),
            Err(error) => Seen::Error(error),
        };
        if seen == [Seen::Error(ProtocolError::TooManyBlocks)] && payload.len() > 24 << 10 {
            return; // zlib does not count blocks
        }
        assert_eq!(seen, [expected.clone()], "{payload:02x?}");
        let Seen::Binary(plain) = expected else { return };
        history.extend(plain);
        history.drain(..history.len().saturating_sub(32 << 10));
    }
}

fn send(agreement: Agreement, messages: &[(Vec<u8>, u8)]) {
    let params = agreement.params();
    let mut server =
        Machine::new(Role::Server, &quiet()).with_deflate(&agreement.settings(), params);
    // zlib in C supports 256 bytes nominally only. A window is a limit, so a larger one reads it as well;
    // the tests have a decoder of their own for that.
    let bits = params.server_max_window_bits.get().max(9);
    let window = params.server_max_window_bits.size();
    let mut history = Vec::new();
    for (piece, times) in messages {
        let mut plain = piece.repeat((*times).into());
        plain.truncate(LIMIT); // `zlib` has it, too
        server.send(&plain).expect("the connection is open");
        let frame = server.sent().remove(0);
        if !frame.is_compressed() {
            assert_eq!(frame.payload, plain);
            continue;
        }
        let is_shorter = frame.payload.len() < plain.len();
        assert!(is_shorter || agreement.settings().threshold == 0);
        assert_eq!(zlib(&frame.payload, &history, bits), Ok(plain.clone()));
        if !params.server_no_context_takeover {
            history.extend(plain);
            history.drain(..history.len().saturating_sub(window));
        }
    }
}

fn bytes(payload: &Payload) -> Vec<u8> {
    let Payload::Compressed { plain, times, level, flips, is_cut } = payload else {
        let Payload::Raw(bytes) = payload else { unreachable!("there are two variants") };
        return bytes.clone();
    };
    let deflate = Arc::new(Deflate::default().threshold(0).level(*level % 12));
    let params = DeflateParams { server_no_context_takeover: true, ..takeover() };
    let mut server = Machine::new(Role::Server, &quiet()).with_deflate(&deflate, params);
    server.send(&plain.repeat((*times).into())).expect("the connection is open");
    let mut payload = server.sent().remove(0).payload;
    if let Some(at) = is_cut {
        payload.truncate(usize::from(*at) % (payload.len() + 1));
    }
    for flip in flips.iter().filter(|_| !payload.is_empty()).collect::<Vec<_>>() {
        let at = usize::from(flip / 8) % payload.len();
        payload[at] ^= 1 << (flip % 8);
    }
    payload
}

/// Decompresses as RFC 7692 §7.2.2 says: with four bytes at the end, and on behind a final block. What does
/// not end at the end of a block is incomplete.
fn zlib(payload: &[u8], history: &[u8], bits: u8) -> Result<Vec<u8>, ProtocolError> {
    let all = [payload, &[0, 0, 0xff, 0xff], &[1, 0, 0, 0xff, 0xff]].concat();
    let (mut read, mut out, mut final_blocks) = (0, history.to_vec(), 0);
    loop {
        let mut inflate = Decompress::new_with_window_bits(false, bits);
        let window = &out[out.len().saturating_sub(1 << bits)..];
        if !window.is_empty() {
            inflate.set_dictionary(window).expect("without a header at any time");
        }
        let start = read;
        loop {
            let mut piece = [0; 4096];
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(&all[read..], &mut piece, FlushDecompress::None);
            let written = (inflate.total_out() - before_out) as usize;
            read = start + inflate.total_in() as usize;
            out.extend_from_slice(&piece[..written]);
            if out.len() - history.len() > LIMIT {
                return Err(ProtocolError::MessageTooBig(LIMIT));
            }
            match status {
                Ok(Status::StreamEnd) => break,
                Err(_) => return Err(ProtocolError::InvalidDeflate),
                Ok(_) if written == 0 && inflate.total_in() == before_in => {
                    return Err(ProtocolError::InvalidDeflate);
                }
                Ok(_) => {}
            }
        }
        if read == payload.len() || read == all.len() {
            out.drain(..history.len());
            return Ok(out);
        }
        final_blocks += 1;
        if final_blocks > 32 + payload.len() / 1024 {
            return Err(ProtocolError::TooManyBlocks);
        }
    }
}
