//! What is kept in Redis: for each room a hash, the log, and a stream with its last records.
//!
//! ```text
//!   PREFIX:h:ROOM   epoch, run, replid, last   the epoch; the server that began it; the offset of the last message
//!   PREFIX:s:ROOM   OFFSET-0: r                the records, by their offsets
//! ```
//!
//! A server has another `run_id` after a restart, and a replica has one of its own. A replica that becomes a master
//! begins another `master_replid`, even if it has been a master before. Each of them may lack the last messages. So a
//! log of another run, or of another replication, is not continued: it is deleted, and the room gets a new epoch. That
//! is so even if nothing was lost, because nobody can know.
//!
//! The log outlives the records, so that a room in which nothing was said for long is not taken for one whose messages
//! were lost. The log of a room in which nothing was ever kept does not live for long: clients can join any room, and
//! so fill the server's memory. While such a room has members, its log is renewed, because it is read now and then.
//!
//! Each command is one script, and therefore atomic. Its first write is one that a server without memory
//! refuses: after another one, such as `EXPIRE`, a script is not stopped any more. A script that fails says whether it
//! has kept the message: Redis takes nothing back.

use std::str;

use bytes::{Buf, Bytes};
use prism_rooms::{Append, Keep, Page, Position, Read};

use crate::{error::shown, resp::Scalars};

/// Makes a script of commands that use the log of a room. They get a new log if there is none, or if it is damaged or
/// of another run. An error has a code that says whether the message was kept.
macro_rules! script {
    ($commands:literal) => {
        concat!(
            "local is_kept = false
local is_done, reply = pcall(function()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  local log = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'replid', 'last')
  local epoch, last = log[1] or '', log[4] or ''
  local is_valid = string.match(epoch, '^%w+$') and #epoch <= 64 and string.match(last, '^%d+$') and #last < 16
  if not is_valid or log[2] ~= run or log[3] ~= replid then
    epoch, last = ARGV[1], '0'
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', run, 'replid', replid, 'last', last)
    redis.call('DEL', KEYS[2])
  end
",
            $commands,
            "
end)
if is_done then return reply end
if type(reply) == 'table' then reply = reply.err end
return redis.error_reply((is_kept and 'UNKNOWN ' or 'REFUSED ') .. tostring(reply))"
        )
    };
}

/// Keeps a record, and publishes it. Returns its position.
pub(crate) const APPEND: &str = script!(
    "  last = string.format('%.0f', last + 1)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], last .. '-0', 'r', ARGV[6])
  is_kept = true
  redis.call('HSET', KEYS[1], 'last', last)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  local position = epoch .. '-' .. last
  redis.call('PUBLISH', ARGV[7], ARGV[5] .. position .. ' ' .. ARGV[6])
  return {position}"
);

/// Reads records with consecutive offsets. Returns the position of the last message, the offset of the first record,
/// and the records, each after its length.
///
/// How many records are fetched at once follows from the longest one so far: most of what is fetched is returned. The
/// lifetime of the log is seldom extended, because that is a write, which replicas and the disk get as well.
pub(crate) const READ: &str = script!(
    "  local first, bytes, longest, count, out = '0', 0, 1, 1, {}
  local next, limit = tonumber(ARGV[4]) + 1, tonumber(ARGV[5])
  local goes_on = ARGV[3] == epoch
  while goes_on and bytes < limit do
    local entries = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', next), '+', 'COUNT', count)
    goes_on = #entries > 0
    for _, entry in ipairs(entries) do
      local offset, record = string.match(entry[1], '^%d+'), entry[2][2]
      if first == '0' then
        first, next = offset, tonumber(offset)
      end
      goes_on = tonumber(offset) == next and bytes < limit
      if not goes_on then break end
      out[#out + 1] = struct.pack('>I4', #record) .. record
      next, bytes, longest = next + 1, bytes + #record, math.max(longest, #record)
    end
    count = math.max(1, math.min(8, math.floor((limit - bytes) / longest)))
  end
  local lifetime = tonumber(last == '0' and ARGV[6] or ARGV[2])
  if redis.call('TTL', KEYS[1]) * 2 < lifetime then
    redis.pcall('EXPIRE', KEYS[1], lifetime)
  end
  return {epoch .. '-' .. last, first, table.concat(out)}"
);

/// The codes of errors after which a command has not been run.
const NOT_RUN: [&[u8]; 12] = [
    b"BUSY",
    b"CLUSTERDOWN",
    b"CROSSSLOT",
    b"LOADING",
    b"MASTERDOWN",
    b"MISCONF",
    b"MOVED",
    b"NOPERM",
    b"NOREPLICAS",
    b"OOM",
    b"READONLY",
    b"REFUSED",
];

/// Those with which only servers in cluster mode refuse a script. There, the keys of a room may be on two servers.
const CLUSTER: [&[u8]; 3] = [b"CLUSTERDOWN", b"CROSSSLOT", b"MOVED"];

/// How long a log is kept after the last command, in seconds, if that is longer than ten times the age of its records.
const MIN_LOG_AGE: u64 = 24 * 60 * 60;

/// How long a log without any message is kept after the last command, in seconds.
///
/// A node with members reads it every 20 s at the latest, and a read renews it once less than half is left. So members
/// keep it even if their node is cut off for 40 s.
const EMPTY_LOG_AGE: u64 = 2 * 60;

/// Returns the words of an [`APPEND`], after the script.
pub(crate) fn append(prefix: &str, append: &Append) -> Vec<Bytes> {
    let (age, log_age) = ages(append.keep);
    let mut words = begin(prefix, &append.room, &append.epoch, log_age);
    words.extend([text(age), text(append.keep.messages)]);
    words.extend([append.head.clone(), append.record.clone()]);
    words.push(text(format_args!("{prefix}:r:{}", append.room)));
    words
}

/// Returns the words of a [`READ`], after the script.
pub(crate) fn read(prefix: &str, read: &Read) -> Vec<Bytes> {
    let (_, log_age) = ages(read.keep);
    let mut words = begin(prefix, &read.room, &read.epoch, log_age);
    let (epoch, offset) =
        read.after.as_ref().map_or(("", 0), |after| (after.epoch(), after.offset()));
    words.extend([text(epoch), text(offset), text(read.max_bytes), text(EMPTY_LOG_AGE)]);
    words
}

/// Returns the position in a reply.
pub(crate) fn parse_position([position, ..]: &Scalars) -> Option<Position> {
    str::from_utf8(position).ok()?.parse().ok()
}

/// Returns the page in a reply.
pub(crate) fn parse_page(scalars: &Scalars) -> Option<Page> {
    let last = parse_position(scalars)?;
    let [_, first, records] = scalars;
    let first = str::from_utf8(first).ok()?.parse().ok()?;
    let (mut rest, mut records) = (records.clone(), Vec::new());
    while rest.has_remaining() {
        let len = rest.try_get_u32().ok()? as usize;
        records.push((len <= rest.len()).then(|| rest.split_to(len))?);
    }
    Some(Page { last, first, records })
}

/// Returns why a message is not kept, if an error means that for sure. A script catches its own errors, so errors with
/// other codes of these come from before it.
pub(crate) fn refusal(error: &[u8]) -> Option<String> {
    let is_certain = NOT_RUN.contains(&code(error)) || error.starts_with(b"ERR unknown command");
    is_certain.then(|| reason(error))
}

/// Returns what has gone wrong in a script, or why it was not run.
pub(crate) fn reason(error: &[u8]) -> String {
    let why = shown(error.strip_prefix(b"REFUSED ").unwrap_or(error));
    if CLUSTER.contains(&code(error)) {
        format!(
            "Redis Cluster cannot keep messages; expected a server that is not in cluster mode ({why})"
        )
    } else {
        why
    }
}

fn code(error: &[u8]) -> &[u8] {
    error.split(|byte| *byte == b' ').next().unwrap_or_default()
}

fn begin(prefix: &str, room: &str, epoch: &str, log_age: u64) -> Vec<Bytes> {
    let keys =
        [text(2), text(format_args!("{prefix}:h:{room}")), text(format_args!("{prefix}:s:{room}"))];
    let mut words = Vec::from(keys);
    words.extend([text(epoch), text(log_age)]);
    words
}

/// Returns how long records, and the log, are kept after the last message, in seconds.
fn ages(keep: Keep) -> (u64, u64) {
    // Redis takes no more than fits an `i64` of milliseconds, with the time of day.
    let age = keep.age.as_secs().clamp(1, u64::from(u32::MAX));
    (age, (10 * age).max(MIN_LOG_AGE))
}

fn text(value: impl ToString) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{parse_page, refusal};

    fn page(position: &str, first: &str, records: &[u8]) -> Option<(u64, u64, Vec<Bytes>)> {
        let scalars = [position.as_bytes(), first.as_bytes(), records].map(Bytes::copy_from_slice);
        parse_page(&scalars).map(|page| (page.last.offset(), page.first, page.records))
    }

    #[test]
    fn a_page_has_records_after_their_lengths() {
        let records = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c";
        let expected = vec!["ab".into(), "".into(), "c".into()];
        assert_eq!(page("9f-7", "5", records), Some((7, 5, expected)));
        assert_eq!(page("9f-7", "0", b""), Some((7, 0, Vec::new())));
    }

    #[test]
    fn malformed_pages_are_refused() {
        for (position, first, records) in [
            ("", "5", &b""[..]),
            ("9f", "5", b""),
            ("9f-7", "", b""),
            ("9f-7", "-1", b""),
            ("9f-7", "5", b"\0\0"),
            ("9f-7", "5", b"\0\0\0\x02a"),
            ("9f-7", "5", b"\xff\xff\xff\xffa"),
        ] {
            assert_eq!(page(position, first, records), None, "{position} {first} {records:?}");
        }
    }

    #[test]
    fn only_errors_from_before_the_first_write_are_refusals() {
        for (error, refused) in [
            ("OOM command not allowed", Some("OOM command not allowed")),
            ("NOPERM no permissions to run 'eval'", Some("NOPERM no permissions to run 'eval'")),
            ("ERR unknown command 'EVAL'", Some("ERR unknown command 'EVAL'")),
            (
                "REFUSED WRONGTYPE the wrong kind of value",
                Some("WRONGTYPE the wrong kind of value"),
            ),
            ("UNKNOWN NOPERM no permissions to run 'expire'", None),
            ("ERR Error running script: Script killed by user", None),
            ("OOMS", None),
            ("", None),
        ] {
            assert_eq!(refusal(error.as_bytes()).as_deref(), refused, "{error}");
        }
    }

    #[test]
    fn redis_cluster_is_named() {
        for error in ["CROSSSLOT Keys in request don't", "MOVED 866 10.0.0.5:6379", "CLUSTERDOWN"] {
            let refused = refusal(error.as_bytes()).unwrap();
            let why =
                "Redis Cluster cannot keep messages; expected a server that is not in cluster mode";
            assert_eq!(refused, format!("{why} ({error})"));
        }
    }
}
