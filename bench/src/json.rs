//! JSON as a game or a dashboard sends it: records with ids, names, positions and times. The same messages each
//! time.

const SEED: u64 = 0x2545_f491_4f6c_dd1d;

const FIRST_NAMES: [&str; 16] = [
    "Amelie", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiroshi", "Ines", "Jonas",
    "Katya", "Liam", "Mei", "Noor", "Oskar", "Priya",
];
const LAST_NAMES: [&str; 16] = [
    "Almeida", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova",
    "Jensen", "Kowalski", "Larsen", "Moreau", "Nakamura", "Okafor", "Petrov",
];
const STATES: [&str; 4] = ["idle", "moving", "trading", "fighting"];

/// What fills a message that has no room for another record.
const NOTE: &str =
    "The northern gate is closed until the tide turns; take the ferry at the old pier instead. ";

/// Returns different messages, each of exactly this many bytes.
///
/// # Panics
/// If that is too few for a message: less than 300.
pub(crate) fn messages(count: usize, len: usize) -> Vec<String> {
    assert!(len >= 300, "too short for a message");
    let mut random = Random(SEED);
    (0..count).map(|number| message(&mut random, number, len)).collect()
}

fn message(random: &mut Random, number: usize, len: usize) -> String {
    const END: &str = r#"],"note":""}"#;
    let mut text = format!(
        r#"{{"type":"positions","room":"harbor-{}","seq":{},"sent":"{}","players":["#,
        random.below(20),
        480_000 + number,
        time(number * 50 + random.below(20)),
    );
    loop {
        let record = record(random, number);
        let separator = if text.ends_with('[') { "" } else { "," };
        if text.len() + separator.len() + record.len() + END.len() > len {
            break;
        }
        text.extend([separator, &record]);
    }
    text.push_str(&END[..END.len() - 2]);
    let rest = len - text.len() - 2;
    text.extend(NOTE.chars().cycle().take(rest));
    text.push_str(r#""}"#);
    text
}

fn record(random: &mut Random, number: usize) -> String {
    let player = random.below(200);
    format!(
        r#"{{"id":{},"name":"{} {}","x":{}.{:02},"y":-{}.{:02},"heading":{}.{:03},"health":{},"state":"{}","seen":"{}"}}"#,
        10_000 + player * 7919 % 90_000,
        FIRST_NAMES[player % 16],
        LAST_NAMES[player * 5 / 16 % 16],
        random.below(2000),
        random.below(100),
        random.below(2000),
        random.below(100),
        random.below(6),
        random.below(1000),
        random.below(101),
        STATES[random.below(STATES.len())],
        time(number * 50 + random.below(5000)),
    )
}

/// Returns the time this many milliseconds after the first message.
fn time(milliseconds: usize) -> String {
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!("2026-11-29T14:{:02}:{:02}.{milliseconds:03}Z", seconds / 60, seconds % 60)
}

/// Numbers without a pattern, the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn messages_are_different_and_have_the_requested_length() {
        for len in [300, 1 << 10, 64 << 10] {
            let messages = messages(64, len);
            assert!(
                messages.iter().all(|message| message.len() == len && message.ends_with(r#""}"#))
            );
            assert_eq!(messages.iter().collect::<HashSet<_>>().len(), 64);
        }
    }

    #[cfg(feature = "servers")]
    #[test]
    fn messages_are_json() {
        for message in messages(64, 1 << 10) {
            let message: serde_json::Value = serde_json::from_str(&message).unwrap();
            assert!(message["players"].as_array().unwrap().len() >= 4);
        }
    }
}
