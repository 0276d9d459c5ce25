//! How wide a text is, about: fonts are the reader's, so the wider ones of the usual are reckoned with.

/// Pixels of an em, the size of all texts but titles.
const EM: f64 = 13.0;

/// About how many pixels wide a text is.
pub fn width(text: &str) -> f64 {
    text.chars().map(of).sum()
}

/// The widest of them.
pub fn widest<'a>(texts: impl IntoIterator<Item = &'a str>) -> f64 {
    texts.into_iter().map(width).fold(0.0, f64::max)
}

/// As much of a text as is at most so many pixels wide.
pub fn cut(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut left = most - of('…');
    let fits = |c: &char| {
        left -= of(*c);
        left >= 0.0
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Both ends of a text: what tells names apart is often at their end.
pub fn cut_inside(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut left = most / 2.0;
    let fits = |c: &char| {
        left -= of(*c);
        left >= 0.0
    };
    let end: Vec<char> = text.chars().rev().take_while(fits).collect();
    let end: String = end.into_iter().rev().collect();
    cut(text, most - width(&end)) + &end
}

fn of(c: char) -> f64 {
    let ems = match c {
        // Marks on the letter before, and what is not seen.
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0.1,
        ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' | 'f' | 'i' | 'j' | 'l' | 'r'
        | 't' => 0.4,
        'A'..='L' | 'N'..='V' | 'X'..='Z' => 0.77,
        'M' | 'W' | 'm' | 'w' | '@' | '%' | '…' => 1.0,
        // Chinese, Japanese, Korean, full-width forms, and pictures.
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{fb1c}' | '\u{fe30}'..='\u{ff60}' => 1.02,
        '\u{1f000}'.. => 1.3,
        _ => 0.65,
    };
    ems * EM
}

/// Whether it has letters of Hebrew, Arabic or another script that is written to the left.
pub fn is_right_to_left(text: &str) -> bool {
    let is_one = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}');
    text.chars().any(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_its_width_and_not_by_its_letters() {
        assert_eq!(cut("Single rope", 100.0), "Single rope");
        let cut_to = |text: &str| cut(&text.repeat(40), 130.0).chars().count();
        assert!(cut_to("W") < cut_to("a") && cut_to("a") < cut_to("i"));
        assert!(cut_to("漢") <= 10);
        for text in ["W", "漢", "e\u{301}", "🧗"] {
            let cut = cut(&text.repeat(40), 130.0);
            assert!(width(&cut) <= 130.0 && cut.ends_with('…'), "{cut}");
        }
    }

    #[test]
    fn names_with_the_same_beginning_are_told_apart() {
        let name = |end: &str| cut_inside(&format!("{} · {end}", "Newsletter ".repeat(9)), 200.0);
        assert_ne!(name("email.opened"), name("email.clicked"));
        assert!(name("email.opened").starts_with("Newsletter") && width(&name("x")) <= 200.0);
        assert_eq!(cut_inside("short", 200.0), "short");
    }
}
