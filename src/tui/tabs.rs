//! The views' names in a title row: as many as fit, each with the number of its key. Pure; `draw` shows them and the mouse
//! finds them.

use super::text::width;

/// What a view is called: in full, and in as few letters as can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TabName {
    /// In full.
    pub full: &'static str,
    /// In short.
    pub short: &'static str,
}

/// A name in the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// The column at which it begins.
    pub begin: usize,
    /// Its text.
    pub text: String,
}

impl Tab {
    /// The column behind it.
    pub fn end(&self) -> usize {
        self.begin + width(&self.text)
    }
}

/// Lays the names out in so many columns, the first of which is the row's own. Names are shortened before any is left out,
/// the chosen one last; where not even short names fit, numbers stand for the others, which the help explains.
pub fn tabs(names: &[TabName], chosen: usize, columns: usize) -> Vec<Tab> {
    let number = |index: usize| index + 1;
    let all = |text: &dyn Fn(usize) -> String| (0..names.len()).map(text).collect::<Vec<_>>();
    let fits = |texts: &[String], gap: usize| {
        texts.iter().map(|text| width(text) + gap).sum::<usize>() + 2 <= columns
    };
    let full = all(&|index| format!(" {} {} ", number(index), names[index].full));
    if fits(&full, 0) {
        return placed(full, 0);
    }
    let full = all(&|index| format!("{} {}", number(index), names[index].full));
    if fits(&full, 1) {
        return placed(full, 1);
    }
    let long = all(&|index| format!("{}{}", number(index), names[index].full));
    let short = all(&|index| format!("{}{}", number(index), names[index].short));
    let numbers = all(&|index| number(index).to_string());
    let (mut texts, better) = if fits(&short, 1) { (short, long) } else { (numbers, short) };
    for index in std::iter::once(chosen).chain(0..names.len()) {
        let Some(best) = better.get(index) else { continue };
        let before = std::mem::replace(&mut texts[index], best.clone());
        if !fits(&texts, 1) {
            texts[index] = before;
        }
    }
    placed(texts, 1)
}

fn placed(texts: Vec<String>, gap: usize) -> Vec<Tab> {
    // A column for the mark of the focus, and one that parts it from the first name.
    let mut begin = 1 + gap;
    let place = |text: String| {
        let tab = Tab { begin, text };
        begin = tab.end() + gap;
        tab
    };
    texts.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::views;
    use crate::tui::words::Lang;

    fn row(lang: Lang, chosen: usize, columns: usize) -> String {
        let mut row = String::new();
        for tab in tabs(&views::names(&views::all(), lang), chosen, columns) {
            row.extend(std::iter::repeat_n(' ', tab.begin.saturating_sub(width(&row))));
            row.push_str(&tab.text);
        }
        row
    }

    #[test]
    fn names_are_shortened_before_any_is_left_out() {
        let english = |columns| row(Lang::English, 0, columns);
        assert_eq!(
            english(90),
            "  1 Map  2 Flow  3 Objects  4 Events  5 Logs  6 YAML  7 Store  8 Scheduling "
        );
        assert_eq!(english(70), "  1 Map 2 Flow 3 Objects 4 Events 5 Logs 6 YAML 7 Store 8 Scheduling");
        assert_eq!(english(60), "  1Map 2Flow 3Objects 4Events 5Logs 6YAML 7Store 8Sched");
        assert_eq!(english(50), "  1Map 2Flow 3Objects 4Ev 5Log 6YAML 7Keys 8Sched");
        assert_eq!(english(30), "  1Map 2Flow 3Obj 4Ev 5 6 7 8");
        let chinese = |columns| row(Lang::TraditionalChinese, 7, columns);
        assert_eq!(chinese(62), "  1 地圖 2 流程 3 物件 4 事件 5 日誌 6 YAML 7 儲存 8 排程");
        assert_eq!(chinese(46), "  1地圖 2流程 3物件 4事件 5誌 6YAML 7存 8排程");
    }

    /// The panes beside a lesson, from 80 columns on, in every language: each view's name is there with its number.
    #[test]
    fn beside_a_lesson_on_a_usual_terminal_no_name_is_left_out() {
        for lang in Lang::ALL {
            for terminal in [80, 90, 100, 110, 120, 160] {
                let columns = terminal - terminal * 42 / 100 - 1;
                for chosen in 0..8 {
                    let names = views::names(&views::all(), lang);
                    for (index, tab) in tabs(&names, chosen, columns).iter().enumerate() {
                        let named = [names[index].full, names[index].short]
                            .iter()
                            .any(|name| tab.text.contains(name));
                        assert!(named, "{lang:?} at {terminal}: {:?}", tab.text);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_number_is_there_and_nothing_overlaps(columns in 21usize..200, chosen in 0usize..8, lang in 0usize..3) {
            let tabs = tabs(&views::names(&views::all(), Lang::ALL[lang]), chosen, columns);
            for (index, tab) in tabs.iter().enumerate() {
                prop_assert!(tab.text.trim().starts_with(&(index + 1).to_string()), "{}", tab.text);
                prop_assert!(tab.end() <= columns);
                prop_assert!(index == 0 || tabs[index - 1].end() <= tab.begin);
            }
        }
    }
}
