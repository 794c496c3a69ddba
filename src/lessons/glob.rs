//! Names with `*` in them.

/// A name in which `*` stands for any part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Reads one; every text is one.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The one name that it matches, if it has no `*`.
    pub fn literal(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.contains('*'))
    }

    /// Whether it matches.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            // The first place is as good as any later one.
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_any_part() {
        for (glob, name, wanted) in [
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("web-*", "web", false),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("a*a", "a", false),
            ("web", "web", true),
            ("web", "webs", false),
            ("*你*", "a你b", true),
        ] {
            assert_eq!(Glob::new(glob).matches(name), wanted, "{glob} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_with_a_star_in_it(head in ".{0,8}", tail in "[^*]{0,8}") {
            prop_assume!(!head.contains('*'));
            let name = format!("{head}{tail}");
            prop_assert!(Glob::new(&name).matches(&name));
            let glob = format!("{head}*{tail}");
            prop_assert!(Glob::new(&glob).matches(&name));
        }
    }
}
