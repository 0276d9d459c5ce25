//! Amounts as shops write them: decimals with or without the sign of a currency, and sums that do not
//! add up, which are made to.

use serde_json::Value;

use crate::values::money::Money;

/// Signs that stand beside an amount and say nothing that the currency does not say.
const SIGNS: &str = "€$£¥₹₩₽₺₴₪₫฿₱₦₡₲₵₸₼₾";

/// Reads an amount, rounded to whole minor units; `None` where it is none, or could be two.
pub fn read(value: &Value, currency: &str) -> Option<Money> {
    let text = match value {
        Value::String(text) => plain(text, currency)?,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Money::parse_rounded(&text, currency).ok()
}

/// A decimal such as `-1234.5` of a text such as `-1.234,50 €`.
fn plain(text: &str, currency: &str) -> Option<String> {
    let mut text = text.trim();
    let mut sign = "";
    loop {
        let before = text;
        if let (Some(rest), "") = (text.strip_prefix('-'), sign) {
            (text, sign) = (rest, "-");
        }
        text = text.trim_matches(|c: char| c.is_whitespace() || SIGNS.contains(c));
        text = without_code(text, currency);
        if text == before {
            break;
        }
    }
    Some(format!("{sign}{}", decimal(text)?))
}

/// The text without the code of the currency that it is in.
fn without_code<'a>(text: &'a str, currency: &str) -> &'a str {
    let is_code = |part: Option<&str>| part.is_some_and(|part| part.eq_ignore_ascii_case(currency));
    let end = text.len().saturating_sub(currency.len());
    if is_code(text.get(..currency.len())) {
        &text[currency.len()..]
    } else if is_code(text.get(end..)) {
        &text[..end]
    } else {
        text
    }
}

/// The digits with a point before the decimals. Of two kinds of marks the last is the decimal one; a
/// single comma before three digits could be either, so that is none.
fn decimal(text: &str) -> Option<String> {
    let is_mark = |c: char| matches!(c, '.' | ',');
    let last = text.rfind(is_mark);
    let Some((at, mark)) = last.and_then(|at| Some((at, text[at..].chars().next()?))) else {
        return grouped(text, None);
    };
    let (whole, decimals) = (&text[..at], &text[at + 1..]);
    let other = whole.find(is_mark).and_then(|at| text[at..].chars().next());
    let is_ambiguous =
        mark == ',' && decimals.len() == 3 && whole.len() <= 3 && !whole.starts_with('0');
    match other {
        // Several of one kind part thousands.
        Some(other) if other == mark => grouped(text, Some(mark)),
        None if is_ambiguous => None,
        other => Some(format!("{}.{decimals}", grouped(whole, other)?)),
    }
}

/// Digits, of which blanks, apostrophes or the mark `by` may part thousands.
fn grouped(text: &str, by: Option<char>) -> Option<String> {
    let is_mark = |c: char| Some(c) == by || c.is_whitespace() || matches!(c, '\'' | '’');
    let groups: Vec<&str> = text.split(is_mark).collect();
    let (first, rest) = groups.split_first()?;
    let is_grouped =
        rest.is_empty() || first.len() <= 3 && rest.iter().all(|group| group.len() == 3);
    is_grouped.then(|| groups.concat())
}

/// The amounts of an order besides its lines, as far as they are said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub discount: Option<i64>,
    pub shipping: Option<i64>,
    pub tax: Option<i64>,
    pub fees: Option<i64>,
    pub total: Option<i64>,
    pub is_tax_included: Option<bool>,
}

/// The amounts that an order has where nothing else is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub fees: i64,
    pub is_tax_included: bool,
}

impl Sums {
    /// Shops say totals that no sum makes. They are right: what is missing is a fee, what is too much a
    /// discount, or the tax that is in the prices.
    pub fn balanced(self, subtotal: i128, kept: &Kept) -> Self {
        let Some(total) = self.total else { return self };
        let part = |said: Option<i64>, kept: i64| i128::from(said.unwrap_or(kept));
        let (discount, tax) = (part(self.discount, kept.discount), part(self.tax, kept.tax));
        let rest = i128::from(total) - (subtotal - discount + part(self.shipping, kept.shipping));
        let is_included = match rest {
            _ if tax == 0 => kept.is_tax_included,
            0 => true,
            rest => rest != tax && kept.is_tax_included,
        };
        let off = if is_included { rest } else { rest - tax };
        // What is more than an order can have is refused with it.
        let amount = |amount: i128| Some(i64::try_from(amount).unwrap_or(i64::MAX));
        Self {
            fees: if off > 0 { amount(off) } else { (kept.fees > 0).then_some(0) },
            discount: if off < 0 { amount(discount - off) } else { self.discount },
            is_tax_included: (is_included != kept.is_tax_included).then_some(is_included),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, cents) in [
            ("19.99", 1999),
            ("19,99", 1999),
            ("€ 19,99", 1999),
            ("19,9 €", 1990),
            ("$5", 500),
            ("-$5", -500),
            ("$ -5", -500),
            ("EUR 1.234,56", 123_456),
            ("1,234.56 eur", 123_456),
            ("1.234.567,8", 123_456_780),
            ("1,234,567", 123_456_700),
            ("1 234,50\u{a0}€", 123_450),
            ("1'234.50", 123_450),
            ("1234,567", 123_457),
            ("0,125", 13),
            ("1.005", 101),
            ("007", 700),
        ] {
            let read = read(&json!(text), "EUR").map(|money| money.amount);
            assert_eq!(read, Some(cents), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_or_could_be_two_is_none() {
        for text in [
            "",
            "€",
            "a lot",
            "1,234",
            "12,34,567",
            "1.2.3",
            "1,23.45.6",
            "5 USD",
            "--5",
            "5-",
            "1e3",
            ",5",
            "5,",
            "1 23",
            "1..2",
            "½",
        ] {
            assert_eq!(read(&json!(text), "EUR"), None, "{text}");
        }
        for value in [json!(true), json!([1]), json!({}), json!(1e20)] {
            assert_eq!(read(&value, "EUR"), None, "{value}");
        }
    }

    #[test]
    fn a_total_is_right_also_where_other_parts_are_kept() {
        let kept = Kept { discount: 250, shipping: 500, ..Kept::default() };
        let sums = |total| Sums { total: Some(total), ..Sums::default() }.balanced(4498, &kept);
        let parts = |total| (sums(total).fees, sums(total).discount);
        assert_eq!(parts(4748), (None, None));
        assert_eq!(parts(5000), (Some(252), None));
        assert_eq!(parts(4000), (None, Some(998)));
        // A fee that made up for something else goes with it.
        let kept = Kept { fees: 252, ..kept };
        let sums = Sums { total: Some(4748), ..Sums::default() }.balanced(4498, &kept);
        assert_eq!((sums.fees, sums.discount), (Some(0), None));
    }
}
