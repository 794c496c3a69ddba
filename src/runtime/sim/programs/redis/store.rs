//! What redis keeps, and the commands on it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::protocol::Reply;

/// A value, and when it is gone.
#[derive(Clone, Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Option<Timestamp>,
}

/// The keys.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: BTreeMap<Vec<u8>, Entry>,
}

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

fn count(n: usize) -> Reply {
    Reply::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn not_a_number() -> Reply {
    Reply::Error("ERR value is not an integer or out of range".to_owned())
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Whether a text fits a pattern of `*` and `?`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => fits(&pattern[1..], text) || (!text.is_empty() && fits(pattern, &text[1..])),
        (Some(b'?'), Some(_)) => fits(&pattern[1..], &text[1..]),
        (Some(a), Some(b)) if a == b => fits(&pattern[1..], &text[1..]),
        _ => false,
    }
}

impl Store {
    /// Forgets what has expired.
    fn expire(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| entry.expires.is_none_or(|expires| expires > now));
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Runs a command that reads or writes keys; `None` if it is no such command.
    pub(super) fn run(&mut self, name: &str, args: &[Vec<u8>], now: Timestamp) -> Option<Reply> {
        self.expire(now);
        let reply = match (name, args) {
            ("GET", [key]) => {
                self.entries.get(key).map_or(Reply::Nil, |entry| Reply::Bulk(entry.value.clone()))
            }
            ("SET", [key, value, options @ ..]) => self.set(key, value, options, now),
            ("SETEX", [key, seconds, value]) => self.set(key, value, &[b"EX".to_vec(), seconds.clone()], now),
            ("SETNX", [key, value]) => match self.set(key, value, &[b"NX".to_vec()], now) {
                Reply::Nil => Reply::Integer(0),
                _ => Reply::Integer(1),
            },
            ("GETSET", [key, value]) => {
                let entry = Entry { value: value.clone(), expires: None };
                self.entries.insert(key.clone(), entry).map_or(Reply::Nil, |before| Reply::Bulk(before.value))
            }
            ("MGET", [_, ..]) => {
                let value = |key| {
                    self.entries.get(key).map_or(Reply::Nil, |entry: &Entry| Reply::Bulk(entry.value.clone()))
                };
                Reply::Array(args.iter().map(value).collect())
            }
            ("MSET", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
                for pair in pairs.chunks(2) {
                    self.entries.insert(pair[0].clone(), Entry { value: pair[1].clone(), expires: None });
                }
                ok()
            }
            ("DEL" | "UNLINK", [_, ..]) => {
                count(args.iter().filter(|key| self.entries.remove(*key).is_some()).count())
            }
            ("EXISTS", [_, ..]) => count(args.iter().filter(|key| self.entries.contains_key(*key)).count()),
            ("INCR", [key]) => self.add(key, 1),
            ("DECR", [key]) => self.add(key, -1),
            ("INCRBY", [key, by]) => number(by).map_or_else(not_a_number, |by| self.add(key, by)),
            ("DECRBY", [key, by]) => {
                number(by).and_then(i64::checked_neg).map_or_else(not_a_number, |by| self.add(key, by))
            }
            ("APPEND", [key, value]) => {
                let entry = self.entries.entry(key.clone()).or_insert(Entry { value: vec![], expires: None });
                entry.value.extend_from_slice(value);
                count(entry.value.len())
            }
            ("STRLEN", [key]) => count(self.entries.get(key).map_or(0, |entry| entry.value.len())),
            ("KEYS", [pattern]) => {
                let keys = self.entries.keys().filter(|key| fits(pattern, key));
                Reply::Array(keys.cloned().map(Reply::Bulk).collect())
            }
            ("TYPE", [key]) => {
                Reply::Simple(if self.entries.contains_key(key) { "string" } else { "none" }.to_owned())
            }
            ("EXPIRE", [key, seconds]) => match (number(seconds), self.entries.get_mut(key)) {
                (None, _) => not_a_number(),
                (Some(_), None) => Reply::Integer(0),
                (Some(seconds), Some(entry)) => {
                    entry.expires = now.checked_add(SignedDuration::from_secs(seconds)).ok();
                    Reply::Integer(1)
                }
            },
            ("PERSIST", [key]) => {
                let had = self.entries.get_mut(key).and_then(|entry| entry.expires.take());
                Reply::Integer(i64::from(had.is_some()))
            }
            ("TTL", [key]) => Reply::Integer(match self.entries.get(key) {
                None => -2,
                Some(Entry { expires: None, .. }) => -1,
                // Rounded, as redis does.
                Some(Entry { expires: Some(expires), .. }) => {
                    (expires.duration_since(now).as_millis() as i64 + 500) / 1000
                }
            }),
            ("DBSIZE", []) => count(self.entries.len()),
            ("FLUSHALL" | "FLUSHDB", _) => {
                self.entries.clear();
                ok()
            }
            _ => return None,
        };
        Some(reply)
    }

    fn set(&mut self, key: &[u8], value: &[u8], options: &[Vec<u8>], now: Timestamp) -> Reply {
        let mut expires = None;
        let mut words = options.iter();
        while let Some(word) = words.next() {
            let exists = self.entries.contains_key(key);
            let word = word.to_ascii_uppercase();
            match word.as_slice() {
                b"NX" if exists => return Reply::Nil,
                b"XX" if !exists => return Reply::Nil,
                b"NX" | b"XX" | b"KEEPTTL" => {}
                b"EX" | b"PX" => {
                    let Some(amount) = words.next().and_then(|word| number(word)) else {
                        return not_a_number();
                    };
                    if amount <= 0 {
                        return Reply::Error("ERR invalid expire time in 'set' command".to_owned());
                    }
                    let life = if word == b"EX" {
                        SignedDuration::from_secs(amount)
                    } else {
                        SignedDuration::from_millis(amount)
                    };
                    expires = now.checked_add(life).ok();
                }
                _ => return Reply::Error("ERR syntax error".to_owned()),
            }
        }
        self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), expires });
        ok()
    }

    fn add(&mut self, key: &[u8], by: i64) -> Reply {
        let entry = self.entries.entry(key.to_vec()).or_insert(Entry { value: b"0".to_vec(), expires: None });
        let Some(sum) = number(&entry.value).and_then(|value| value.checked_add(by)) else {
            return not_a_number();
        };
        entry.value = sum.to_string().into_bytes();
        Reply::Integer(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;

    #[test]
    fn commands_do_what_redis_does() {
        let mut store = Store::default();
        let mut run = |line: &str, seconds: i64| {
            let mut words = line.split(' ').map(|word| word.as_bytes().to_vec());
            let name = String::from_utf8(words.next().unwrap()).unwrap();
            let now = VIRTUAL_START.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            store.run(&name, &words.collect::<Vec<_>>(), now)
        };
        for (line, at, expected) in [
            ("SET a 1", 0, ok()),
            ("INCR a", 0, Reply::Integer(2)),
            ("GET a", 0, Reply::Bulk(b"2".to_vec())),
            ("SET a 3 NX", 0, Reply::Nil),
            ("EXPIRE a 10", 0, Reply::Integer(1)),
            ("TTL a", 4, Reply::Integer(6)),
            ("GET a", 10, Reply::Nil),
            ("TTL a", 10, Reply::Integer(-2)),
            ("MSET cat 1 car 2 dog 3", 10, ok()),
            ("KEYS ca?", 10, Reply::Array(vec![Reply::Bulk(b"car".to_vec()), Reply::Bulk(b"cat".to_vec())])),
            ("DEL cat nope", 10, Reply::Integer(1)),
            ("SET word x", 10, ok()),
            ("INCR word", 10, not_a_number()),
        ] {
            assert_eq!(run(line, at), Some(expected), "{line}");
        }
        assert_eq!(run("NOPE", 0), None);
    }
}
