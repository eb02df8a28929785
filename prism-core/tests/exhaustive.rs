//! RFC 6455 §5.2 and §5.3 where the space is small enough to try all of it: every header of a frame
//! of up to 64 KiB, the edges of all longer ones, and every phase of the mask.

use bytes::BytesMut;
use prism_core::{Header, OpCode, ProtocolError, apply_mask};

const DATA: [OpCode; 3] = [OpCode::Continuation, OpCode::Text, OpCode::Binary];
const CONTROL: [OpCode; 3] = [OpCode::Close, OpCode::Ping, OpCode::Pong];
const MASKS: [Option<[u8; 4]>; 2] = [None, Some([0x12, 0x34, 0x56, 0x78])];

fn encoded(header: Header) -> BytesMut {
    let mut wire = BytesMut::new();
    header.encode(&mut wire);
    wire
}

/// Encodes a header as the RFC says, independently of the code under test.
fn by_the_book(header: Header) -> Vec<u8> {
    let bits = u8::from(header.fin) << 7 | u8::from(header.rsv1) << 6;
    let mut wire = vec![bits | header.opcode as u8];
    match header.len {
        0..=125 => wire.push(header.len as u8),
        126..=0xffff => {
            wire.push(126);
            wire.extend((header.len as u16).to_be_bytes());
        }
        _ => {
            wire.push(127);
            wire.extend(header.len.to_be_bytes());
        }
    }
    if let Some(key) = header.mask {
        wire[1] |= 0x80;
        wire.extend(key);
    }
    wire
}

/// Checks that the header encodes as the RFC says, and parses back as soon as it is complete,
/// whatever follows.
fn goes_there_and_back(header: Header) {
    let mut wire = encoded(header);
    let len = wire.len();
    assert_eq!(wire[..], by_the_book(header), "{header:?}");
    for cut in 0..len {
        assert_eq!(Header::parse(&wire[..cut]), Ok(None), "{header:?}, cut at {cut}");
    }
    wire.extend_from_slice(b"\xff");
    assert_eq!(Header::parse(&wire), Ok(Some((header, len))));
}

/// All lengths of 16 bits, and those of 64 bits around each power of two.
fn lengths() -> impl Iterator<Item = u64> {
    let edges = (16..63).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1, 3 << (bit - 1)]);
    (0..=0x1_0000).chain(edges).chain([(1 << 63) - 1])
}

#[test]
fn every_data_frame_header_round_trips() {
    for len in lengths() {
        for mask in MASKS {
            goes_there_and_back(Header { fin: true, rsv1: false, opcode: OpCode::Text, mask, len });
        }
    }
    for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, (1 << 63) - 1] {
        for (opcode, mask) in DATA.into_iter().flat_map(|opcode| MASKS.map(|mask| (opcode, mask))) {
            for (fin, rsv1) in [(false, false), (false, true), (true, false), (true, true)] {
                goes_there_and_back(Header { fin, rsv1, opcode, mask, len });
            }
        }
    }
}

#[test]
fn every_control_frame_header_round_trips_or_is_refused() {
    for (opcode, mask) in CONTROL.into_iter().flat_map(|opcode| MASKS.map(|mask| (opcode, mask))) {
        for rsv1 in [false, true] {
            for len in 0..=125 {
                goes_there_and_back(Header { fin: true, rsv1, opcode, mask, len });
                let torn = encoded(Header { fin: false, rsv1, opcode, mask, len });
                assert_eq!(Header::parse(&torn), Err(ProtocolError::FragmentedControl));
            }
            for len in lengths().filter(|len| *len > 125) {
                let long = encoded(Header { fin: true, rsv1, opcode, mask, len });
                assert_eq!(Header::parse(&long), Err(ProtocolError::ControlTooLong(len)));
            }
        }
    }
}

/// RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length".
#[test]
fn every_length_in_a_longer_form_than_needed_is_refused() {
    for mask in [0, 0x80] {
        for len in 0..126_u16 {
            let wire = [&[0x82, mask | 126][..], &len.to_be_bytes(), &[0; 4]].concat();
            assert_eq!(Header::parse(&wire), Err(ProtocolError::NonMinimalLength), "{len}");
        }
        for len in 0..=0xffff_u64 {
            let wire = [&[0x82, mask | 127][..], &len.to_be_bytes(), &[0; 4]].concat();
            assert_eq!(Header::parse(&wire), Err(ProtocolError::NonMinimalLength), "{len}");
        }
    }
}

/// RFC 6455 §5.2: "the most significant bit MUST be 0".
#[test]
fn every_length_with_its_top_bit_set_is_refused() {
    for low in lengths() {
        for opcode in [0x82, 0x89] {
            let wire = [&[opcode, 127][..], &(low | 1 << 63).to_be_bytes()].concat();
            assert_eq!(Header::parse(&wire), Err(ProtocolError::LengthOverflow), "{low:#x}");
        }
    }
}

/// Short payloads, and those long enough to be masked in aligned blocks: at every offset in a block
/// and a half, and at every phase of the key. Nothing around them is touched.
#[test]
fn every_length_is_masked_at_every_alignment_and_phase() {
    const PLACES: usize = 48;
    let plain: Vec<u8> = (0..1300_u32).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    for phase in 0..4 {
        let mut key = [0x01, 0x23, 0x45, 0x67];
        key.rotate_left(phase);
        let zipped = plain.iter().zip(key.iter().cycle());
        let xored: Vec<u8> = zipped.map(|(byte, key)| byte ^ key).collect();
        for len in (0..=130).chain(1000..=1100) {
            for place in 0..PLACES {
                let mut memory = vec![0xa5; PLACES + len + 1];
                memory[place..place + len].copy_from_slice(&plain[..len]);
                let turned = apply_mask(&mut memory[place..place + len], key);
                assert_eq!(memory[place..place + len], xored[..len], "{len} bytes at {place}");
                assert!(memory[..place].iter().chain(&memory[place + len..]).all(|b| *b == 0xa5));
                let mut expected = key;
                expected.rotate_left(len % 4);
                assert_eq!(turned, expected, "{len} bytes at {place}");
            }
        }
    }
}

/// A payload of more than one aligned block, cut in two everywhere.
#[test]
fn a_long_payload_is_masked_the_same_in_any_two_pieces() {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut whole = vec![0; 2200];
    apply_mask(&mut whole, key);
    assert_eq!(whole, key.repeat(550), "zeros show the key");
    for cut in 0..=whole.len() {
        let mut pieces = vec![0; whole.len()];
        let (first, second) = pieces.split_at_mut(cut);
        let turned = apply_mask(first, key);
        apply_mask(second, turned);
        assert_eq!(pieces, whole, "cut at {cut}");
    }
}
