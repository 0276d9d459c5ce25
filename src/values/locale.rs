//! Languages people want to be spoken to in, such as `en-US` or `pt-BR`.

use oxilangtag::LanguageTag;

/// Longest tag, in characters (RFC 5646 section 4.4.1 asks for 35 at least).
pub const MAX_CHARS: usize = 35;

/// The language tag (BCP 47, RFC 5646) in its usual case: `EN-us` becomes `en-US`.
///
/// `None` where it is not well-formed, or names no language of ISO 639 (two or three letters).
pub fn normalise(tag: &str) -> Option<String> {
    if tag.len() > MAX_CHARS {
        return None;
    }
    let tag = LanguageTag::parse_and_normalize(tag).ok()?;
    let language = tag.primary_language();
    let is_language =
        matches!(language.len(), 2 | 3) && language.bytes().all(|b| b.is_ascii_lowercase());
    is_language.then(|| tag.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_tag_gets_its_usual_case() {
        let pairs =
            [("EN-us", "en-US"), ("de", "de"), ("ZH-hant-tw", "zh-Hant-TW"), ("yue", "yue")];
        for (given, normal) in pairs {
            assert_eq!(normalise(given).as_deref(), Some(normal));
        }
    }

    #[test]
    fn what_is_no_language_tag_is_refused() {
        for tag in ["", "e", "english", "en_US", "en-", "x-private", "en US", "12", "en-\u{0}"] {
            assert_eq!(normalise(tag), None, "{tag:?}");
        }
        assert_eq!(normalise(&format!("en{}", "-abcdefgh".repeat(4))), None);
    }
}
