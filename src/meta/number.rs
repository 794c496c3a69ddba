//! Numbers as Go writes them.

/// A number as Go writes it: integers as they are, floats shortest, with an exponent when far from one.
// Models encoding/json's floatEncoder.
pub fn go_number(number: &serde_json::Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let Some(float) = number.as_f64() else { return number.to_string() };
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return if digits.len() == 1 && sign == '-' {
            format!("{mantissa}e-0{digits}").replace("e-0", "e-")
        } else {
            format!("{mantissa}e{sign}{digits:0>2}")
        };
    }
    format!("{float}")
}

/// A float as Go's `%g` with the fewest digits.
pub fn go_float(float: f64) -> String {
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.001, "0.001"),
            (16.384, "16.384"),
            (1.5e-5, "1.5e-05"),
            (1_763_641_931.25, "1.76364193125e+09"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
        ] {
            assert_eq!(go_float(value), text);
        }
    }
}
