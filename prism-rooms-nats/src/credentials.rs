//! [`Credentials`]: a key with which a user proves who it is (an NKey), and a JWT that says what the user may do, if
//! the server needs one.
//!
//! A server sends a text that it has made up, and the user signs it with Ed25519. So the server does not learn the key.

use std::{error::Error, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// What the binary form of a key begins with: these are the first letters of the textual form, `S` and `U`.
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;

const SEED_LEN: usize = 32;

/// The length of a seed's textual form: two letters and three for what surrounds the seed.
const TEXT_LEN: usize = 58;

/// The checksum at the end of a key.
const CHECKSUM_LEN: usize = 2;

/// It cannot be printed, because it is secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) jwt: Option<String>,
    seed: [u8; SEED_LEN],
}

/// The reason why a text has no credentials in it. The error's text (`Display`) says what is wrong and what was
/// expected. It has no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCredentials(pub(crate) &'static str);

impl Credentials {
    /// Parses the text of a `.creds` file, or a seed alone.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidCredentials> {
        let (mut jwt, mut seed) = (None, None);
        let mut section = Section::Outside;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with("---") {
                section = Section::after(line);
                continue;
            }
            match section {
                Section::Jwt => jwt = Some(line.to_owned()),
                Section::Seed => seed = Some(line),
                Section::Outside => {}
            }
        }
        let alone = Some(text.trim()).filter(|text| !text.contains(char::is_whitespace));
        let seed = seed.or(alone).filter(|seed| !seed.is_empty()).ok_or(InvalidCredentials(
            "no seed; expected a line \"-----BEGIN USER NKEY SEED-----\" and the seed below it, or a seed alone, such as \
             \"SU...\"",
        ))?;
        Ok(Self { jwt, seed: parse_seed(seed)? })
    }

    /// Returns the public key, by which a server knows the user.
    pub(crate) fn public_key(&self) -> String {
        let mut key = vec![USER];
        key.extend(self.key_pair().public_key().as_ref());
        key.extend(checksum(&key).to_le_bytes());
        encode_base32(&key)
    }

    /// Signs what a server has sent.
    pub(crate) fn sign(&self, nonce: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key_pair().sign(nonce.as_bytes()))
    }

    fn key_pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).expect("a seed of 32 bytes")
    }
}

/// A part of a `.creds` file.
enum Section {
    Outside,
    Jwt,
    Seed,
}

impl Section {
    /// Returns what follows a line of dashes with words in between.
    fn after(line: &str) -> Self {
        if !line.contains("BEGIN") {
            Self::Outside
        } else if line.contains("JWT") {
            Self::Jwt
        } else if line.contains("SEED") {
            Self::Seed
        } else {
            Self::Outside
        }
    }
}

/// Parses the seed of a user's key: what it is and whose, the seed, and a checksum.
fn parse_seed(text: &str) -> Result<[u8; SEED_LEN], InvalidCredentials> {
    if text.len() != TEXT_LEN {
        return Err(InvalidCredentials(
            "a seed of another length; expected 58 characters, such as \"SU...\"",
        ));
    }
    let bytes = decode_base32(text).ok_or(InvalidCredentials(
        "a seed with other characters; expected \"A\" to \"Z\" and \"2\" to \"7\"",
    ))?;
    let (key, sum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM_LEN));
    if checksum(key).to_le_bytes() != *sum {
        return Err(InvalidCredentials(
            "a seed whose checksum is wrong; expected it as it was generated",
        ));
    }
    match key {
        [first, second, seed @ ..] if first & 0xf8 == SEED && first << 5 | second >> 3 == USER => {
            seed.try_into()
                .map_err(|_| InvalidCredentials("a seed of another length; expected 32 bytes"))
        }
        _ => Err(InvalidCredentials("a key that is not the seed of a user; expected \"SU...\"")),
    }
}

/// The checksum of NKeys, CRC-16/XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
        })
    })
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Encodes bytes in base32 (RFC 4648 §6), without padding.
fn encode_base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let digit =
        |first: usize| (first..first + 5).fold(0, |digit, at| digit << 1 | usize::from(bit(at)));
    (0..bytes.len() * 8).step_by(5).map(|first| char::from(BASE32[digit(first)])).collect()
}

/// Decodes base32 (RFC 4648 §6) without padding. Bits that make up no byte are ignored.
fn decode_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0, 0);
    for c in text.bytes() {
        let digit = BASE32.iter().position(|other| *other == c)?;
        bits = bits << 5 | digit & 31;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid NATS credentials: {}", self.0)
    }
}

impl Error for InvalidCredentials {}

#[cfg(test)]
mod tests {
    use super::{Credentials, checksum};

    /// The second key of RFC 8032 §7.1.
    const SEED: &str = "SUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN63OVI";
    const PUBLIC: &str = "UA6UAF6D5BBYSWUSW4FKOTI3P26JZGBMZ4XMJFUMYDGVL4JK6RTAYUDN";

    fn file(jwt: &str, seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\nKeep this secret.\n\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n\n*****\n"
        )
    }

    #[test]
    fn a_key_signs() {
        let credentials = Credentials::parse(SEED).unwrap();
        assert_eq!(credentials.public_key(), PUBLIC);
        // What RFC 8032 signs with it is 0x72.
        let expected = "kqAJqfDUyrhyDoILX2QlQKKye1QWUD-Ps3YiI-vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA";
        assert_eq!(credentials.sign("r"), expected);
    }

    #[test]
    fn the_checksum_is_that_of_xmodem() {
        assert_eq!(checksum(b"123456789"), 0x31c3);
    }

    #[test]
    fn a_file_has_a_jwt_and_a_seed() {
        let alone = Credentials::parse(&format!(" {SEED}\n")).unwrap();
        assert!(alone.jwt.is_none());
        let credentials = Credentials::parse(&file("eyJ0.eyJq.c2ln", SEED)).unwrap();
        assert_eq!(credentials.jwt.as_deref(), Some("eyJ0.eyJq.c2ln"));
        assert_eq!(credentials.public_key(), PUBLIC);
        let file = file("", SEED);
        let (_, only_seed) = file.split_once("secret.").unwrap();
        assert!(Credentials::parse(only_seed).unwrap() == alone);
    }

    #[test]
    fn errors_say_what_was_expected_and_show_no_secret() {
        let mistyped = SEED.replace("3MGRX", "3MGXR");
        let lower = SEED.to_lowercase();
        let of_account = "SAAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN645MY";
        for (text, expected) in [
            ("", "expected a line \"-----BEGIN USER NKEY SEED-----\""),
            ("no seed here", "expected a line \"-----BEGIN USER NKEY SEED-----\""),
            (&file("eyJ0.eyJq.c2ln", ""), "expected a line \"-----BEGIN USER NKEY SEED-----\""),
            ("shop.creds", "expected 58 characters"),
            (PUBLIC, "expected 58 characters"),
            (&SEED[1..], "expected 58 characters"),
            (&lower, "expected \"A\" to \"Z\""),
            (&mistyped, "checksum is wrong"),
            (of_account, "expected \"SU...\""),
        ] {
            let error = Credentials::parse(text).err().expect(text).to_string();
            assert!(error.starts_with("invalid NATS credentials: "), "{error}");
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("ZTIITM") && !error.contains("eyJ"), "{error}");
        }
    }
}
