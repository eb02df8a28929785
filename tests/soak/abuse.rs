//! The abuses: what each one does, and how the server has to react.

use std::{thread, time::Duration};

use prism_tests::raw::encode;

use crate::abusers::Abuser;

type Abuse = fn(&mut Abuser) -> Result<(), String>;

pub(crate) const ABUSES: [(&str, Abuse); 16] = [
    ("sends nothing", sends_nothing),
    ("never finishes its request", never_finishes_its_request),
    ("lets its request trickle in", trickles_its_request),
    ("sends garbage", sends_garbage),
    ("requests an unknown path", requests_an_unknown_path),
    ("sends an endless head", sends_an_endless_head),
    ("sends a malformed frame", sends_a_malformed_frame),
    ("claims a huge frame", claims_a_huge_frame),
    ("exceeds the message size", exceeds_the_message_size),
    ("sends invalid UTF-8", sends_invalid_utf8),
    ("sends empty fragments", sends_empty_fragments),
    ("floods with empty messages", floods_with_empty_messages),
    ("floods with pings, and reads nothing", floods_with_pings),
    ("reads nothing", reads_nothing),
    ("half-closes", half_closes),
    ("vanishes", vanishes),
];

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

fn sends_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.expect_status("408 ")
}

fn never_finishes_its_request(abuser: &mut Abuser) -> Result<(), String> {
    abuser.send(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\nUpgrade: webs");
    abuser.expect_status("408 ")
}

fn trickles_its_request(abuser: &mut Abuser) -> Result<(), String> {
    abuser.send(b"GET /quiet HTTP/1.1\r\nX-Endless: ");
    // For longer than the handshake timeout, unless the connection ends before.
    for _ in 0..100 {
        if !abuser.send(b"x") {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    abuser.read_to_end().map(drop)
}

fn sends_garbage(abuser: &mut Abuser) -> Result<(), String> {
    let garbage: [&[u8]; 4] = [
        b"\0\0\0\0\r\n\r\n",
        b"{}\r\n\r\n",
        b"POST / HTTP/1.1\n\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 252],
    ];
    let which = abuser.rng.usize(..garbage.len());
    abuser.send(garbage[which]);
    abuser.shut_down_write();
    abuser.read_to_end().map(drop)
}

fn requests_an_unknown_path(abuser: &mut Abuser) -> Result<(), String> {
    abuser.send(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    abuser.expect_status("404 ")
}

fn sends_an_endless_head(abuser: &mut Abuser) -> Result<(), String> {
    abuser.send(b"GET /quiet HTTP/1.1\r\nX-Endless: ");
    for _ in 0..64 {
        abuser.send(&[b'x'; 1 << 10]);
    }
    abuser.read_to_end().map(drop)
}

fn sends_a_malformed_frame(abuser: &mut Abuser) -> Result<(), String> {
    let broken: [&[u8]; 8] = [
        // An unmasked frame; a reserved bit; a reserved opcode; a fragmented ping.
        &[0x82, 1, 0],
        &[0xc2, 0x80, 0, 0, 0, 0],
        &[0x83, 0x80, 0, 0, 0, 0],
        &[0x09, 0x80, 0, 0, 0, 0],
        // An oversized ping; a length that is not minimal; an unexpected continuation; half a code.
        &[0x89, 0xfe, 0, 126, 0, 0, 0, 0],
        &[0x82, 0xfe, 0, 1, 0, 0, 0, 0, 0],
        &[0x80, 0x80, 0, 0, 0, 0],
        &[0x88, 0x81, 0, 0, 0, 0, 3],
    ];
    abuser.upgrade("/quiet")?;
    let which = abuser.rng.usize(..broken.len());
    abuser.send(broken[which]);
    abuser.expect_close(&[1002])
}

fn claims_a_huge_frame(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let len: u64 = 1 << abuser.rng.u32(21..63);
    abuser.send(&[&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat());
    abuser.expect_close(&[1009])
}

fn exceeds_the_message_size(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let piece = vec![0; 60 << 10];
    abuser.send_frame(false, BINARY, &piece);
    for _ in 0..20 {
        abuser.send_frame(false, CONTINUATION, &piece);
    }
    abuser.expect_close(&[1009])
}

fn sends_invalid_utf8(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    abuser.send_frame(true, TEXT, b"\xed\xa0\x80");
    abuser.expect_close(&[1007])
}

fn sends_empty_fragments(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    abuser.send_frame(false, TEXT, b"");
    for _ in 0..1000 {
        abuser.send_frame(false, CONTINUATION, b"");
    }
    abuser.expect_close(&[1008])
}

fn floods_with_empty_messages(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/idle")?;
    // Each is echoed, and read only afterwards: two bytes for six.
    let frames = encode(true, true, TEXT, b"").repeat(1000);
    for _ in 0..10 {
        abuser.send(&frames);
    }
    abuser.send_frame(true, 8, &1000_u16.to_be_bytes());
    // It does not answer pings either, so a slow run ends with 1011.
    abuser.expect_close(&[1000, 1011])
}

fn floods_with_pings(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let pings = encode(true, true, PING, &[b'p'; 125]).repeat(500);
    // For longer than the write timeout.
    for _ in 0..400 {
        if !abuser.send(&pings) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err("the server did not drop the connection".to_owned())
}

fn reads_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/firehose/abuser")?;
    // For longer than the write timeout, while the server has far more to send than it may buffer.
    for _ in 0..40 {
        if !abuser.send_frame(true, TEXT, b"more") {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
    Err("the server did not drop the connection".to_owned())
}

fn half_closes(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/idle")?;
    abuser.send_frame(true, TEXT, b"the last word");
    abuser.shut_down_write();
    let received = abuser.read_to_end()?;
    let echo = encode(false, true, TEXT, b"the last word");
    if received == echo { Ok(()) } else { Err(format!("{received:?}")) }
}

fn vanishes(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/idle")?;
    // Possibly within a frame.
    let frame = encode(true, true, BINARY, &[1; 100]);
    let cut = abuser.rng.usize(..frame.len());
    abuser.send(&frame[..cut]);
    if abuser.rng.bool() {
        abuser.reset_when_dropped();
    }
    Ok(())
}
