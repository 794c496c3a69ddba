//! What an unquoted YAML 1.1 word means: whether it would be read as something else than text.
// Models go-yaml v2 (resolve.go).

/// Words that mean true.
pub const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
/// Words that mean false.
pub const FALSE: [&str; 11] = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
/// Words that mean nothing.
pub const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];
/// Words that are floats.
const SPECIAL_FLOATS: [&str; 11] =
    [".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf"];

/// Whether a word, unquoted, would be read as text.
pub fn is_text(word: &str) -> bool {
    let special = word == "-.INF" || SPECIAL_FLOATS.contains(&word);
    !(NULL.contains(&word)
        || TRUE.contains(&word)
        || FALSE.contains(&word)
        || special
        || is_number(word)
        || is_base_60(word)
        || is_date(word))
}

/// Whether a word is an integer or a float.
fn is_number(word: &str) -> bool {
    let Some(first) = word.bytes().next().filter(|c| c.is_ascii_digit() || matches!(c, b'+' | b'-' | b'.'))
    else {
        return false;
    };
    if first == b'.' {
        return word.parse::<f64>().is_ok();
    }
    let plain = word.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let digits = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let lower = unsigned.to_ascii_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, radix)| lower.strip_prefix(prefix).is_some_and(|rest| digits(rest, *radix)));
    based || is_float(&plain)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let mantissa_fits = digits(whole)
        && fraction.is_none_or(digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_fits && exponent_fits
}

/// `12:30:45`, which YAML 1.1 reads as a number of base 60.
fn is_base_60(word: &str) -> bool {
    let text = word.strip_prefix(['+', '-']).unwrap_or(word);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|c: char| c.is_ascii_digit())
        || !first.bytes().all(|c| c.is_ascii_digit() || c == b'_')
    {
        return false;
    }
    let parts: Vec<&str> = parts.collect();
    let sixty = |part: &str| match part.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    let Some((last, middle)) = parts.split_last() else { return false };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    middle.iter().all(|part| sixty(part))
        && sixty(whole)
        && fraction.bytes().all(|c| c.is_ascii_digit() || c == b'_')
}

/// A date, or a date and a time.
fn is_date(word: &str) -> bool {
    let mut digits = word.bytes();
    if !(0..4).all(|_| digits.next().is_some_and(|c| c.is_ascii_digit())) || digits.next() != Some(b'-') {
        return false;
    }
    let rest = &word[5..];
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, time) = rest.split_at(split);
    let within = |text: &str, max: u8| {
        (1..=2).contains(&text.len()) && text.parse::<u8>().is_ok_and(|n| (1..=max).contains(&n))
    };
    within(month, 12) && within(day, 31) && (time.is_empty() || is_time(time))
}

fn is_time(text: &str) -> bool {
    let zoned = text.starts_with(['T', 't']);
    let Some(clock) = text.strip_prefix(['T', 't', ' ']) else { return false };
    let end = clock.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(end);
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts[..] else { return false };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let within =
        |text: &str, max: u8| (1..=2).contains(&text.len()) && text.parse::<u8>().is_ok_and(|n| n <= max);
    let offset = |zone: &str| {
        let bytes = zone.as_bytes();
        bytes.len() == 6
            && matches!(bytes[0], b'+' | b'-')
            && bytes[3] == b':'
            && within(&zone[1..3], 24)
            && within(&zone[4..], 59)
    };
    let zone_fits = if zoned { zone == "Z" || (zone.is_ascii() && offset(zone)) } else { zone.is_empty() };
    within(hour, 23)
        && within(minute, 59)
        && within(second, 59)
        && !fraction.is_empty()
        && fraction.bytes().all(|c| c.is_ascii_digit())
        && zone_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_that_mean_something_are_known() {
        for word in [
            "",
            "yes",
            "y",
            "N",
            "off",
            "~",
            "null",
            "1",
            "-1",
            "0x1F",
            "0o17",
            "0b11",
            "1_000",
            "1e3",
            "1.",
            ".5",
            "+1",
            "0.5",
            ".inf",
            "12:30",
            "1:2:3.5",
            "2020-01-01",
            "2020-1-1",
            "2020-01-01T10:00:00Z",
            "2020-01-01 10:00:00",
            "012",
            "190:20:30",
        ] {
            assert!(!is_text(word), "{word}");
        }
        for word in [
            "a",
            "yess",
            "<<",
            "=x",
            "1a",
            "-",
            "+",
            ".",
            "1.2.3",
            "0x",
            "0xg",
            "12:3x",
            "2020-13-01",
            "10.0.0.1",
            "1e",
            "nul",
            "a:b",
            "1:2:99",
        ] {
            assert!(is_text(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_judged(word in "\\PC{0,20}") {
            let _ = is_text(&word);
        }
        #[test]
        fn dates_are_judged(word in "[0-9T:. +é-]{0,24}") {
            let _ = is_text(&word);
        }
    }
}
