//! Colours and emphasis, for dark and light terminals and for none at all (`NO_COLOR`).
//!
//! Only the terminal's own sixteen colours are used, so that the learner's palette stays theirs. What a colour says is
//! always said by a word or a symbol, too.

use ratatui::style::{Color, Modifier, Style};

/// Which colours to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Light text on dark ground.
    Dark,
    /// Dark text on light ground.
    Light,
    /// No colour.
    Plain,
}

/// The styles of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Which colours.
    pub palette: Palette,
}

impl Theme {
    /// What fits the environment: `NO_COLOR` wins, then `asked`, then what `COLORFGBG` tells of the ground.
    pub fn choose(asked: Option<Palette>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
            || variable("TERM").is_some_and(|term| term == "dumb");
        let ground = variable("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
        let light = matches!(ground, Some(7 | 9..=15));
        let palette = if plain {
            Palette::Plain
        } else {
            asked.unwrap_or(if light { Palette::Light } else { Palette::Dark })
        };
        Self { palette }
    }

    fn colour(self, dark: Color, light: Color) -> Style {
        match self.palette {
            Palette::Dark => Style::new().fg(dark),
            Palette::Light => Style::new().fg(light),
            Palette::Plain => Style::new(),
        }
    }

    /// Plain text.
    pub fn text(self) -> Style {
        Style::new()
    }

    /// What is beside the point.
    pub fn dim(self) -> Style {
        match self.palette {
            Palette::Dark => Style::new().fg(Color::DarkGray),
            Palette::Light => Style::new().fg(Color::DarkGray),
            Palette::Plain => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// Titles and headings.
    pub fn title(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// What the eye shall find.
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan, Color::Blue)
    }

    /// All is well.
    pub fn good(self) -> Style {
        self.colour(Color::Green, Color::Green)
    }

    /// On its way, or worth a look.
    pub fn warn(self) -> Style {
        self.colour(Color::Yellow, Color::Magenta)
    }

    /// Broken.
    pub fn bad(self) -> Style {
        self.colour(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Code in running text.
    pub fn code(self) -> Style {
        self.colour(Color::Yellow, Color::Blue).add_modifier(if self.palette == Palette::Plain {
            Modifier::BOLD
        } else {
            Modifier::empty()
        })
    }

    /// The row that is chosen.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The lines around a pane.
    pub fn border(self, focused: bool) -> Style {
        if focused { self.accent().add_modifier(Modifier::BOLD) } else { self.dim() }
    }

    /// A key in the bar.
    pub fn key(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_heeded() {
        let choose = |asked, variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            Theme::choose(asked, find).palette
        };
        assert_eq!(choose(None, &[]), Palette::Dark);
        assert_eq!(choose(None, &[("COLORFGBG", "0;15")]), Palette::Light);
        assert_eq!(choose(Some(Palette::Dark), &[("COLORFGBG", "0;15")]), Palette::Dark);
        assert_eq!(choose(Some(Palette::Light), &[("NO_COLOR", "1")]), Palette::Plain);
        assert_eq!(choose(None, &[("NO_COLOR", "")]), Palette::Dark);
    }

    #[test]
    fn without_colours_there_are_none() {
        let theme = Theme { palette: Palette::Plain };
        let styles = [
            theme.text(),
            theme.dim(),
            theme.title(),
            theme.accent(),
            theme.good(),
            theme.warn(),
            theme.bad(),
            theme.code(),
            theme.selected(),
            theme.border(true),
            theme.key(),
        ];
        for style in styles {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
