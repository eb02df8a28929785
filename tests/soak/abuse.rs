//! The abuses: what is done, and what the server has to do.

use std::{thread, time::Duration};

use prism_tests::raw::encode;

use crate::abusers::Abuser;

type Abuse = fn(&mut Abuser) -> Result<(), String>;

pub(crate) const ABUSES: [(&str, Abuse); 16] = [
    ("says nothing", says_nothing),
    ("never finishes its request", never_finishes),
    ("lets its request trickle in", trickles),
    ("is no client", is_no_client),
    ("asks for nothing that is there", asks_for_nothing),
    ("has a head without an end", endless_head),
    ("breaks a rule of frames", breaks_a_rule),
    ("claims to be huge", claims_to_be_huge),
    ("sends more than is allowed", sends_too_much),
    ("sends text that is none", sends_no_text),
    ("sends empty fragments", sends_empty_fragments),
    ("floods with empty messages", floods_with_nothing),
    ("floods with pings, and reads nothing", floods_with_pings),
    ("reads nothing", reads_nothing),
    ("ends its direction only", ends_its_direction),
    ("goes without a word", goes),
];

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

fn says_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.expect_status("408 ")
}

fn never_finishes(abuser: &mut Abuser) -> Result<(), String> {
    abuser.say(b"GET /quiet HTTP/1.1\r\nHost: localhost\r\nUpgrade: webs");
    abuser.expect_status("408 ")
}

fn trickles(abuser: &mut Abuser) -> Result<(), String> {
    abuser.say(b"GET /quiet HTTP/1.1\r\nX-Endless: ");
    // For longer than a handshake may take, unless it is cut before.
    for _ in 0..100 {
        if !abuser.say(b"x") {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    abuser.hear_to_the_end().map(drop)
}

fn is_no_client(abuser: &mut Abuser) -> Result<(), String> {
    let garbage: [&[u8]; 4] = [
        b"\0\0\0\0\r\n\r\n",
        b"{}\r\n\r\n",
        b"POST / HTTP/1.1\n\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 252],
    ];
    let which = abuser.dice.usize(..garbage.len());
    abuser.say(garbage[which]);
    abuser.say_no_more();
    abuser.hear_to_the_end().map(drop)
}

fn asks_for_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.say(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    abuser.expect_status("404 ")
}

fn endless_head(abuser: &mut Abuser) -> Result<(), String> {
    abuser.say(b"GET /quiet HTTP/1.1\r\nX-Endless: ");
    for _ in 0..64 {
        abuser.say(&[b'x'; 1 << 10]);
    }
    abuser.hear_to_the_end().map(drop)
}

fn breaks_a_rule(abuser: &mut Abuser) -> Result<(), String> {
    let broken: [&[u8]; 8] = [
        // Not masked; a reserved bit; a reserved opcode; a fragmented ping.
        &[0x82, 1, 0],
        &[0xc2, 0x80, 0, 0, 0, 0],
        &[0x83, 0x80, 0, 0, 0, 0],
        &[0x09, 0x80, 0, 0, 0, 0],
        // A long ping; a length that is not the shortest; a continuation of nothing; half a code.
        &[0x89, 0xfe, 0, 126, 0, 0, 0, 0],
        &[0x82, 0xfe, 0, 1, 0, 0, 0, 0, 0],
        &[0x80, 0x80, 0, 0, 0, 0],
        &[0x88, 0x81, 0, 0, 0, 0, 3],
    ];
    abuser.upgrade("/quiet")?;
    let which = abuser.dice.usize(..broken.len());
    abuser.say(broken[which]);
    abuser.expect_close(&[1002])
}

fn claims_to_be_huge(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let len: u64 = 1 << abuser.dice.u32(21..63);
    abuser.say(&[&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat());
    abuser.expect_close(&[1009])
}

fn sends_too_much(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let piece = vec![0; 60 << 10];
    abuser.say_frame(false, BINARY, &piece);
    for _ in 0..20 {
        abuser.say_frame(false, CONTINUATION, &piece);
    }
    abuser.expect_close(&[1009])
}

fn sends_no_text(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    abuser.say_frame(true, TEXT, b"\xed\xa0\x80");
    abuser.expect_close(&[1007])
}

fn sends_empty_fragments(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    abuser.say_frame(false, TEXT, b"");
    for _ in 0..1000 {
        abuser.say_frame(false, CONTINUATION, b"");
    }
    abuser.expect_close(&[1008])
}

fn floods_with_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/nobody")?;
    // Each is echoed, and it reads only afterwards: two bytes for six.
    let frames = encode(true, true, TEXT, b"").repeat(1000);
    for _ in 0..10 {
        abuser.say(&frames);
    }
    abuser.say_frame(true, 8, &1000_u16.to_be_bytes());
    // It answers no ping either; but for that it has to take long.
    abuser.expect_close(&[1000, 1011])
}

fn floods_with_pings(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/quiet")?;
    let pings = encode(true, true, PING, &[b'p'; 125]).repeat(500);
    // For longer than the server may write in vain.
    for _ in 0..400 {
        if !abuser.say(&pings) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err("the server bears with it".to_owned())
}

fn reads_nothing(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/hose/abuser")?;
    // For longer than the server may write in vain, and much more than it may keep.
    for _ in 0..40 {
        if !abuser.say_frame(true, TEXT, b"more") {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
    Err("the server bears with it".to_owned())
}

fn ends_its_direction(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/nobody")?;
    abuser.say_frame(true, TEXT, b"the last word");
    abuser.say_no_more();
    let heard = abuser.hear_to_the_end()?;
    let echo = encode(false, true, TEXT, b"the last word");
    if heard == echo { Ok(()) } else { Err(format!("{heard:?}")) }
}

fn goes(abuser: &mut Abuser) -> Result<(), String> {
    abuser.upgrade("/talk/nobody")?;
    // Perhaps within a frame.
    let frame = encode(true, true, BINARY, &[1; 100]);
    let cut = abuser.dice.usize(..frame.len());
    abuser.say(&frame[..cut]);
    if abuser.dice.bool() {
        abuser.reset_when_dropped();
    }
    Ok(())
}
