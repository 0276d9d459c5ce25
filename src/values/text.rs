//! Makes words findable: one spelling for searching, whatever keyboard they were typed on.

use unicode_normalization::UnicodeNormalization;

/// The text as it is kept in search and lookup columns: composed (NFKC) and lower case.
///
/// Applying it twice changes nothing. Accents stay, `ß` stays `ß`, the Turkish `ı` stays `ı`: a
/// search may miss, but two different people never become one.
pub fn search_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lowered: String = text.nfkc().flat_map(char::to_lowercase).collect();
    lowered.nfkc().collect()
}

/// The text with the wildcards of `like` (`%`, `_` and `\`) taken literally.
pub fn like_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The text as HTML and XML show it, also between quotes.
pub fn markup_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Whether the character takes no room on screen, so that two texts look the same and are not.
///
/// The `Default_Ignorable_Code_Point` property of Unicode (`DerivedCoreProperties`).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Words that are known, and those given that are not.
pub fn added(known: &[String], given: Vec<String>) -> Vec<String> {
    let new = given.into_iter().filter(|word| !known.contains(word));
    known.iter().cloned().chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_key_is_composed_and_lower_case() {
        assert_eq!(search_key("Ann MARIE"), "ann marie");
        assert_eq!(search_key("JOSE\u{301}"), "josé");
        assert_eq!(search_key("ＡＢＣ ﬁne"), "abc fine");
        assert_eq!(search_key("K\u{212a}"), "kk");
    }

    #[test]
    fn a_search_key_keeps_letters_that_are_not_the_same() {
        assert_eq!(search_key("straße"), "straße");
        assert_eq!(search_key("STRAẞE"), "straße");
        assert_eq!(search_key("ılık"), "ılık");
        assert_ne!(search_key("ı"), search_key("i"));
    }

    #[test]
    fn a_search_key_of_a_search_key_is_itself() {
        for text in ["İstanbul", "ΣΊΣΥΦΟΣ", "ǅ", "ﬀ", "Å", "ϓ", "e\u{301}\u{327}", "㎏", "1⁄2"]
        {
            let key = search_key(text);
            assert_eq!(search_key(&key), key, "{text}");
        }
    }

    #[test]
    fn wildcards_are_escaped() {
        assert_eq!(like_escape(r"50%_off\now"), r"50\%\_off\\now");
        assert_eq!(like_escape("plain"), "plain");
    }

    #[test]
    fn zero_width_characters_are_invisible_and_letters_are_not() {
        assert!("\u{200b}\u{200d}\u{feff}\u{ad}\u{2060}".chars().all(is_invisible));
        assert!(!"aé ß漢".chars().any(is_invisible));
    }
}
