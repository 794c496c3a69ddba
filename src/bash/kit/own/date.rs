//! `date`.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::bash::program::{Program, ProgramContext};

/// `date`, of the cluster's time.
pub(super) struct Date;

#[async_trait]
impl Program for Date {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let mut time = context.system.clock.now();
        let mut format = "%a %b %e %H:%M:%S UTC %Y".to_owned();
        let mut words = context.args.iter().skip(1).map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "-u" | "--utc" | "--universal" => {}
                "-R" | "--rfc-email" => format = "%a, %d %b %Y %H:%M:%S +0000".to_owned(),
                "-I" | "--iso-8601" | "-Idate" => format = "%Y-%m-%d".to_owned(),
                "-Is" | "-Iseconds" | "--iso-8601=seconds" => format = "%Y-%m-%dT%H:%M:%S+00:00".to_owned(),
                word if word.starts_with('+') => format = word[1..].to_owned(),
                word if word == "-d" || word.starts_with("--date=") => {
                    let text = word.strip_prefix("--date=").or_else(|| words.next()).unwrap_or_default();
                    let Some(wanted) = point(text, time) else {
                        stdio.err(format!("date: invalid date '{text}'\n")).await;
                        return 1;
                    };
                    time = wanted;
                }
                word => {
                    stdio.err(format!("date: invalid option or operand '{word}'\n")).await;
                    return 1;
                }
            }
        }
        match jiff::fmt::strtime::format(&format, &time.to_zoned(TimeZone::UTC)) {
            Ok(text) => {
                stdio.out(format!("{text}\n")).await;
                0
            }
            Err(error) => {
                stdio.err(format!("date: invalid format '{format}': {error}\n")).await;
                1
            }
        }
    }
}

/// `now`, `@1700000000`, a time in RFC 3339, `5 minutes ago`.
fn point(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text == "now" {
        return Some(now);
    }
    if let Some(seconds) = text.strip_prefix('@') {
        return Timestamp::from_second(seconds.parse().ok()?).ok();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (number, unit, ago) = match words[..] {
        [number, unit] => (number, unit, false),
        [number, unit, "ago"] => (number, unit, true),
        _ => return text.parse().ok(),
    };
    let unit = match unit.trim_end_matches('s') {
        "second" | "sec" => 1,
        "minute" | "min" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    now.checked_add(jiff::SignedDuration::from_secs(if ago { -seconds } else { seconds })).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read() {
        let now = crate::clock::VIRTUAL_START;
        assert_eq!(point("5 minutes ago", now).unwrap(), now - jiff::SignedDuration::from_secs(300));
        assert_eq!(point("@0", now).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(point("whenever", now), None);
    }

    proptest::proptest! {
        #[test]
        fn any_point_is_read_or_refused(text in "@?-?[0-9]{0,25}( (second|minute|hour|day|week)s?( ago)?)?|\\PC{0,30}") {
            let _ = point(&text, Timestamp::MAX);
            let _ = point(&text, Timestamp::MIN);
        }
    }
}
