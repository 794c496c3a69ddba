//! The languages of the course, and how one is chosen.

use std::str::FromStr;

/// A language that every lesson is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese in traditional characters, with Taiwan's words.
    TraditionalChinese,
    /// Chinese in simplified characters, with the mainland's words.
    SimplifiedChinese,
}

impl Language {
    /// All of them, in the order they are offered in.
    pub const ALL: [Self; 3] = [Self::English, Self::TraditionalChinese, Self::SimplifiedChinese];

    /// The tag, which is a lesson's file name too: `en`, `zh-TW`, `zh-CN`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::TraditionalChinese => "zh-TW",
            Self::SimplifiedChinese => "zh-CN",
        }
    }

    /// The name in the language itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::TraditionalChinese => "繁體中文",
            Self::SimplifiedChinese => "简体中文",
        }
    }

    /// What a locale like `zh_TW.UTF-8` asks for; English if it is none of ours.
    pub fn of_locale(locale: &str) -> Self {
        let tag = locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-").to_lowercase();
        match tag.as_str() {
            "zh-tw" | "zh-hk" | "zh-mo" => Self::TraditionalChinese,
            tag if tag.starts_with("zh-hant") => Self::TraditionalChinese,
            tag if tag == "zh" || tag.starts_with("zh-") => Self::SimplifiedChinese,
            _ => Self::English,
        }
    }

    /// What the environment asks for: the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that is set.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        set.map_or(Self::English, |locale| Self::of_locale(&locale))
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            let tags: Vec<&str> = Self::ALL.into_iter().map(Self::tag).collect();
            format!("no language {text:?}: there are {}", tags.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_the_language() {
        for (locale, wanted) in [
            ("zh_TW.UTF-8", Language::TraditionalChinese),
            ("zh_HK", Language::TraditionalChinese),
            ("zh-Hant-TW", Language::TraditionalChinese),
            ("zh_CN.UTF-8", Language::SimplifiedChinese),
            ("zh", Language::SimplifiedChinese),
            ("en_GB.UTF-8", Language::English),
            ("C", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of_locale(locale), wanted, "{locale}");
        }
    }

    #[test]
    fn the_environment_is_asked_in_order() {
        let environment = |name: &str| match name {
            "LC_ALL" => Some(String::new()),
            "LANG" => Some("zh_TW.UTF-8".to_owned()),
            _ => None,
        };
        assert_eq!(Language::of_environment(environment), Language::TraditionalChinese);
    }
}
