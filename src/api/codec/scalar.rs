//! The scalar values that Go's types read and write in their own way: times, durations, base64.
// Models k8s.io/apimachinery/pkg/apis/meta/v1 (Time, MicroTime, Duration), time.Parse, encoding/base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// Go's layout of whole-second times, for messages.
const SECONDS_LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
/// Go's layout of times with microseconds.
const MICROS_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";

/// The canonical form of a time in whole seconds; `None` for the zero time.
pub(super) fn time(text: &str) -> Result<Option<String>, String> {
    if is_canonical_seconds(text) && !text.starts_with("0001-01-01T00:00:00") {
        return Ok(Some(text.to_owned()));
    }
    Ok(parse(text, SECONDS_LAYOUT)?.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// The canonical form of a time with microseconds; `None` for the zero time.
pub(super) fn micro_time(text: &str) -> Result<Option<String>, String> {
    Ok(parse(text, MICROS_LAYOUT)?.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
}

/// The canonical form of a time with microseconds, of any finer or coarser one: for what the server's own parts write.
pub(super) fn finer_time(text: &str) -> Result<Option<String>, String> {
    Ok(parse(text, SECONDS_LAYOUT)?.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
}

/// Whether the text is already what the server writes: digits where digits belong, a valid date, `Z` at the end.
fn is_canonical_seconds(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

fn parse(text: &str, layout: &str) -> Result<Option<Timestamp>, String> {
    if let Some((at, element)) = misfit(text, layout == MICROS_LAYOUT) {
        return Err(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {:?} as {element:?}",
            &text[at..]
        ));
    }
    let time: Timestamp =
        text.parse().map_err(|_| format!("parsing time {text:?}: {} out of range", out_of_range(text)))?;
    Ok((time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() != "0001-01-01T00:00:00Z").then_some(time))
}

/// Where the text stops to look like RFC 3339, and which element of Go's layout stands there.
fn misfit(text: &str, micros: bool) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let elements: [(&'static str, usize); 11] = [
        ("2006", 4),
        ("-", 0),
        ("01", 2),
        ("-", 0),
        ("02", 2),
        ("T", 0),
        ("15", 2),
        (":", 0),
        ("04", 2),
        (":", 0),
        ("05", 2),
    ];
    let mut at = 0;
    for (element, digits) in elements {
        let width = digits.max(1);
        let fits = bytes.get(at..at + width).is_some_and(|part| match digits {
            0 => part == element.as_bytes(),
            _ => part.iter().all(u8::is_ascii_digit),
        });
        if !fits {
            return Some((floor(text, at), element));
        }
        at += width;
    }
    if bytes.get(at) == Some(&b'.') {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || (micros && digits != 6) {
            return Some((at, if micros { ".000000" } else { "Z07:00" }));
        }
        at += 1 + digits;
    } else if micros {
        return Some((floor(text, at), ".000000"));
    }
    let offset = match bytes.get(at..) {
        Some(b"Z") => true,
        Some([b'+' | b'-', h1, h2, b':', m1, m2]) => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    (!offset).then(|| (floor(text, at), "Z07:00"))
}

/// The nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Which part of a well-formed time is no such thing on the calendar or the clock.
fn out_of_range(text: &str) -> &'static str {
    let part = |from: usize| text.get(from..from + 2).and_then(|p| p.parse::<u32>().ok()).unwrap_or(0);
    match () {
        () if !(1..=12).contains(&part(5)) => "month",
        () if part(11) > 23 => "hour",
        () if part(14) > 59 => "minute",
        () if part(17) > 59 => "second",
        () => "day",
    }
}

/// The canonical form of base64; Go ignores line ends inside. The error is Go's.
pub(super) fn base64(text: &str) -> Result<String, String> {
    if STANDARD.decode(text).is_ok() {
        return Ok(text.to_owned());
    }
    let mut kept = Vec::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => {}
            byte => kept.push((at, byte)),
        }
    }
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let data = kept.iter().position(|(_, byte)| !alphabet(*byte)).unwrap_or(kept.len());
    let padding = kept.len() - data;
    let illegal = |index: usize| {
        let at = kept.get(index).map_or(text.len(), |(at, _)| *at);
        Err(format!("illegal base64 data at input byte {at}"))
    };
    let wrong_padding = kept[data..].iter().position(|(_, byte)| *byte != b'=');
    match (data % 4, padding) {
        (_, _) if wrong_padding.is_some() && data % 4 < 2 => illegal(data),
        (0, 0) | (2, 2) | (3, 1) if wrong_padding.is_none() => {
            let bytes: Vec<u8> = kept.iter().map(|(_, byte)| *byte).collect();
            // What is left are bits beyond the last byte, which Go drops.
            let lenient = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
            );
            lenient.decode(bytes).map(|raw| STANDARD.encode(raw)).or_else(|_| illegal(data))
        }
        // Go names the start of the last, incomplete group when the text simply ends.
        (2 | 3, 0) | (1, 0) => illegal(data - data % 4),
        (0 | 1, _) => illegal(data),
        (2, 1) => illegal(kept.len()),
        (2, _) => illegal(data + wrong_padding.unwrap_or(2)),
        (_, _) => illegal(data + wrong_padding.unwrap_or(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_in_utc_and_whole_seconds() {
        assert_eq!(time("2026-11-20T08:15:18Z").unwrap().unwrap(), "2026-11-20T08:15:18Z");
        assert_eq!(time("2026-11-20T09:15:18.75+01:00").unwrap().unwrap(), "2026-11-20T08:15:18Z");
        assert_eq!(time("0001-01-01T00:00:00Z").unwrap(), None);
        assert_eq!(
            micro_time("2026-11-20T09:15:18.123456+01:00").unwrap().unwrap(),
            "2026-11-20T08:15:18.123456Z"
        );
        assert_eq!(
            time("yesterday").unwrap_err(),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#
        );
        assert_eq!(
            time("2026-11-20").unwrap_err(),
            r#"parsing time "2026-11-20" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T""#
        );
        assert_eq!(
            time("2026-13-20T00:00:00Z").unwrap_err(),
            r#"parsing time "2026-13-20T00:00:00Z": month out of range"#
        );
    }

    #[test]
    fn base64_errors_name_the_byte() {
        assert_eq!(base64("aGk=").unwrap(), "aGk=");
        assert_eq!(base64("aG\nk=").unwrap(), "aGk=");
        assert_eq!(base64("not base64").unwrap_err(), "illegal base64 data at input byte 3");
        assert_eq!(base64("aGkxx").unwrap_err(), "illegal base64 data at input byte 4");
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC{0,30}") {
            let _ = (time(&text), micro_time(&text), base64(&text));
        }

        #[test]
        fn canonical_forms_are_stable(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)") {
            if let Ok(Some(canonical)) = time(&text) {
                prop_assert_eq!(time(&canonical).unwrap().unwrap(), canonical);
            }
        }
    }
}
