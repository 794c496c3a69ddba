//! Quantities: `100m`, `1.5`, `2Gi`, `1e3`. Exact decimal numbers with a suffix family that survives arithmetic.
// Models k8s.io/apimachinery/pkg/api/resource (Quantity, CanonicalizeBytes).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The suffixes in which a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Ki, Mi, Gi, Ti, Pi, Ei
    BinarySi,
    /// n, u, m, none, k, M, G, T, P, E
    DecimalSi,
    /// e-3, e3, e6
    DecimalExponent,
}

/// An amount of a resource, in billionths, which is as fine as Kubernetes reckons.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a known suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// A suffix that nobody knows.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// No digits.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
}

const NANO: i128 = 1_000_000_000;
/// Beyond this, Kubernetes caps: 2^63-1 units.
const MAX: i128 = i64::MAX as i128 * NANO;

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Nothing, in decimal notation.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// So many whole units.
    pub fn from_units(units: i64, format: Format) -> Self {
        Self { nanos: i128::from(units) * NANO, format }
    }

    /// So many thousandths.
    pub fn from_milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * 1_000_000, format: Format::DecimalSi }
    }

    /// The amount in whole units, rounded up.
    pub fn value(self) -> i64 {
        self.rounded_up(NANO)
    }

    /// The amount in thousandths, rounded up.
    pub fn milli_value(self) -> i64 {
        self.rounded_up(1_000_000)
    }

    /// The amount as a float, for shares.
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    pub fn signum(self) -> i32 {
        self.nanos.signum() as i32
    }

    fn rounded_up(self, unit: i128) -> i64 {
        let whole = self.nanos.div_euclid(unit) + i128::from(self.nanos.rem_euclid(unit) != 0);
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    /// A zero takes the notation of what it is added to, as in Kubernetes.
    fn combined(self, other: Self, nanos: i128) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: nanos.clamp(-MAX, MAX), format }
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.combined(other, self.nanos + other.nanos)
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.combined(other, self.nanos - other.nanos)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (sign, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (-1, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            Some(_) => (1, text),
            None => return Err(QuantityError::Format),
        };
        let split = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(split);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError::Format);
        }
        let (format, base, exponent) = parse_suffix(suffix)?;
        Ok(Self { nanos: sign * scaled(whole, fraction, base, exponent), format })
    }
}

fn parse_suffix(suffix: &str) -> Result<(Format, u32, i32), QuantityError> {
    if let Some((_, shift)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok((Format::BinarySi, 2, *shift as i32));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok((Format::DecimalSi, 10, *exponent));
    }
    // Letters that no suffix has, or anything behind an exponent's digits, are no quantity at all.
    let letters = suffix.trim_start_matches(['e', 'E', 'i', 'n', 'u', 'm', 'k', 'K', 'M', 'G', 'T', 'P']);
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    let exponent: i32 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Format::DecimalExponent, 10, exponent))
}

/// `whole.fraction * base^exponent` in billionths, rounded up in the last one and capped.
fn scaled(whole: &str, fraction: &str, base: u32, exponent: i32) -> i128 {
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let mut decimal_exponent = 9 - i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let mut shift = 0;
    if base == 2 {
        shift = exponent;
    } else {
        decimal_exponent = decimal_exponent.saturating_add(exponent);
    }
    // Far more than i128 holds: cap at once. Far less than a billionth: one billionth.
    let magnitude = i32::try_from(digits.len()).unwrap_or(i32::MAX).saturating_add(decimal_exponent);
    if magnitude > 30 {
        return MAX;
    }
    let kept = digits.len().min(36);
    let dropped = digits[kept..].bytes().any(|b| b != b'0');
    decimal_exponent = decimal_exponent.saturating_add(i32::try_from(digits.len() - kept).unwrap_or(0));
    let Ok(mantissa) = digits[..kept].parse::<i128>() else { return MAX };
    let mantissa = mantissa.checked_shl(shift as u32).filter(|m| m >> shift == mantissa && *m >= 0);
    let Some(mantissa) = mantissa else { return MAX };
    if decimal_exponent >= 0 {
        return 10_i128
            .checked_pow(decimal_exponent as u32)
            .and_then(|p| mantissa.checked_mul(p))
            .map_or(MAX, |n| n.min(MAX));
    }
    let Some(divisor) = 10_i128.checked_pow(decimal_exponent.unsigned_abs()) else { return 1 };
    let up = mantissa % divisor != 0 || dropped;
    (mantissa / divisor + i128::from(up)).min(MAX)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        // Below 1024, and for fractions, binary notation falls back to decimal.
        if self.format == Format::BinarySi && self.nanos % NANO == 0 && self.nanos.abs() >= 1024 * NANO {
            let units = self.nanos / NANO;
            let fitting = BINARY.iter().rev().find(|(_, shift)| units % (1 << shift) == 0);
            return match fitting {
                Some((suffix, shift)) => write!(f, "{}{suffix}", units >> shift),
                None => write!(f, "{units}"),
            };
        }
        let fits = |exponent: i32| self.nanos % 10_i128.pow((exponent + 9) as u32) == 0;
        let (suffix, exponent) =
            DECIMAL.iter().rev().find(|(_, exponent)| fits(*exponent)).unwrap_or(&DECIMAL[0]);
        let mantissa = self.nanos / 10_i128.pow((exponent + 9) as u32);
        match (self.format, exponent) {
            (Format::DecimalExponent, 0) => write!(f, "{mantissa}"),
            (Format::DecimalExponent, exponent) => write!(f, "{mantissa}e{exponent}"),
            _ => write!(f, "{mantissa}{suffix}"),
        }
    }
}

impl From<Quantity> for k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl TryFrom<&k8s_openapi::apimachinery::pkg::api::resource::Quantity> for Quantity {
    type Error = QuantityError;
    fn try_from(
        quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity,
    ) -> Result<Self, QuantityError> {
        quantity.0.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_written_in_their_canonical_form() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.1Ki", "102400m"),
            ("1e3", "1e3"),
            ("1000", "1k"),
            ("2500", "2500"),
            ("100m", "100m"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-5", "-5"),
            ("12E", "9223372036854775807"),
            ("1.0000000001", "1000000001n"),
            ("128Mi", "128Mi"),
            ("100e-3", "100e-3"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "1.2.3", "1Kib", "5 Gi", "1e", "--1", "1ki"] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn amounts_are_rounded_up() {
        assert_eq!("1500m".parse::<Quantity>().unwrap().value(), 2);
        assert_eq!("0.0005".parse::<Quantity>().unwrap().milli_value(), 1);
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_stable(text in "[+-]?[0-9]{0,20}(\\.[0-9]{0,12})?(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]{1,2})") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                let canonical = quantity.to_string();
                let again: Quantity = canonical.parse().unwrap();
                prop_assert_eq!(again, quantity);
                prop_assert_eq!(again.to_string(), canonical);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<Quantity>();
        }
    }
}
