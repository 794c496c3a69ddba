//! Numbers that may be given as a share: `25%` of something, or just `3`.
// Models k8s.io/apimachinery/pkg/util/intstr (GetScaledValueFromIntOrPercent).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The value as a number, where a percentage is of `total` and rounded up or down. Text that is no percentage is 0: the
/// API has refused it already.
pub(crate) fn scaled(value: Option<&IntOrString>, total: i32, rounding: Rounding) -> i32 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let percent = text.trim_end_matches('%').parse::<i64>().unwrap_or(0);
            let hundredths = percent * i64::from(total);
            let whole = match rounding {
                Rounding::Up => hundredths.div_euclid(100) + i64::from(hundredths.rem_euclid(100) != 0),
                Rounding::Down => hundredths.div_euclid(100),
            };
            i32::try_from(whole).unwrap_or(i32::MAX)
        }
    }
}

/// Which way a share of an uneven number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To the next whole number.
    Up,
    /// To the whole number below.
    Down,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_as_asked() {
        let quarter = IntOrString::String("25%".to_owned());
        for (total, up, down) in [(4, 1, 1), (10, 3, 2), (1, 1, 0), (0, 0, 0)] {
            assert_eq!(scaled(Some(&quarter), total, Rounding::Up), up, "25% of {total}, up");
            assert_eq!(scaled(Some(&quarter), total, Rounding::Down), down, "25% of {total}, down");
        }
        assert_eq!(scaled(Some(&IntOrString::Int(3)), 10, Rounding::Up), 3);
        assert_eq!(scaled(None, 10, Rounding::Up), 0);
    }
}
