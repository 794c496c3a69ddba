//! How long ago, and how long: durations as kubectl prints them, times as the API writes them, durations as Go reads them.
// Models k8s.io/apimachinery/pkg/util/duration (HumanDuration) and Go's time.Duration.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A duration as a table's age: `5s`, `3m5s`, `12m`, `5h3m`, `23h`, `2d4h`, `11d`, `2y57d`, `10y`.
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    // One second of grace lets clocks differ a little.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    if seconds < 60 * 2 {
        return format!("{seconds}s");
    }
    let minutes = seconds / 60;
    if minutes < 10 {
        return with_rest(minutes, 'm', seconds % 60, 's');
    }
    if minutes < 60 * 3 {
        return format!("{minutes}m");
    }
    let hours = minutes / 60;
    if hours < 8 {
        return with_rest(hours, 'h', minutes % 60, 'm');
    }
    if hours < 48 {
        return format!("{hours}h");
    }
    let days = hours / 24;
    if days < 8 {
        return with_rest(days, 'd', hours % 24, 'h');
    }
    if days < 365 * 2 {
        return format!("{days}d");
    }
    let years = days / 365;
    if years < 8 {
        return with_rest(years, 'y', days % 365, 'd');
    }
    format!("{years}y")
}

fn with_rest(whole: i64, unit: char, rest: i64, rest_unit: char) -> String {
    if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
}

/// The time since `then` as a table's age; `<unknown>` if there is none.
pub fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "<unknown>".to_owned(), |then| human(now.duration_since(then)))
}

/// A time as the API writes it: whole seconds, `Z`.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as `kubectl describe` prints it: `Fri, 20 Nov 2026 08:04:15 +0000`.
pub fn rfc1123z(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A duration as Go prints it: `1m30s`, `10s`, `2h0m0s`, `150ms`.
// Models time.Duration.String.
pub fn go_string(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return format!("{}µs", decimal(nanos, 1_000));
    }
    if nanos < 1_000_000_000 {
        return format!("{}ms", decimal(nanos, 1_000_000));
    }
    let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn decimal(value: u128, unit: u128) -> String {
    let fraction = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { (value / unit).to_string() } else { format!("{}.{fraction}", value / unit) }
}

/// Reads a duration as Go writes it (`1h30m`, `1.5s`, `300ms`, `0`). Errors in Go's words.
// Models time.ParseDuration.
pub fn parse_go(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() || unsigned.starts_with('-') {
        return Err(invalid());
    }
    let (mut rest, mut nanos) = (unsigned, 0_f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        nanos += number * unit;
        rest = &rest[letters..];
    }
    if nanos >= i64::MAX as f64 { Err(invalid()) } else { Ok(Duration::from_nanos(nanos as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (190_000, "2d4h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (68_000_000, "2y57d"),
            (400_000_000, "12y"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human(SignedDuration::from_secs(seconds)), expected, "{seconds} seconds");
        }
        assert_eq!(human(SignedDuration::from_secs(-5)), "<invalid>");
    }

    #[test]
    fn go_durations_are_read_and_written() {
        for text in ["1m30s", "10s", "2h0m0s", "150ms", "1.5s"] {
            assert_eq!(go_string(parse_go(text).unwrap()), text);
        }
        assert_eq!(parse_go("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse_go("5d").unwrap_err(), "time: unknown unit \"d\" in duration \"5d\"");
        assert!(parse_go("").is_err() && parse_go("x").is_err() && parse_go("1..2s").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_duration_is_read_or_refused(text in "[+-]?([0-9.]{0,25}(h|m|s|ms|us|µs|ns)?){0,4}|\\PC{0,20}") {
            let _ = parse_go(&text);
        }

        #[test]
        fn what_is_written_reads_back(milliseconds in 0..4_000_000_000_u64) {
            let duration = Duration::from_millis(milliseconds);
            proptest::prop_assert_eq!(parse_go(&go_string(duration)), Ok(duration));
        }
    }
}
