//! Which line of an order or cart an event means: by the product's id, its stock-keeping unit or its
//! name, whichever both say.

use super::report::ProductSaid;
use crate::carts::types::NewCartLineItem;
use crate::orders::types::LineItem;

/// By what a line is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    id: Option<&'a str>,
    sku: Option<&'a str>,
    name: &'a str,
    variant: Option<&'a str>,
}

/// The same product has one line for each of its variants: what both say must not differ.
const RULES: [fn(&Mark, &Mark) -> bool; 3] = [
    |line, said| is_equal(line.id, said.id) && !is_other(line.sku, said.sku),
    |line, said| is_equal(line.sku, said.sku),
    |line, said| {
        line.name == said.name && !is_other(line.id, said.id) && !is_other(line.sku, said.sku)
    },
];

fn is_equal(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_some() && one == other
}

fn is_other(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_some() && other.is_some() && one != other
}

/// The position of the line that is meant.
pub fn find(lines: &[Mark], said: Mark) -> Option<usize> {
    let fits = |line: &Mark| !is_other(line.variant, said.variant);
    RULES.iter().find_map(|rule| lines.iter().position(|line| fits(line) && rule(line, &said)))
}

/// The same where a variant that is not said is one of its own.
pub fn find_exact(lines: &[Mark], said: Mark) -> Option<usize> {
    let fits = |line: &Mark| line.variant == said.variant;
    RULES.iter().find_map(|rule| lines.iter().position(|line| fits(line) && rule(line, &said)))
}

macro_rules! mark {
    ($line:ty, $id:ident) => {
        impl<'a> From<&'a $line> for Mark<'a> {
            fn from(line: &'a $line) -> Self {
                Self {
                    id: line.$id.as_deref(),
                    sku: line.sku.as_deref(),
                    name: &line.name,
                    variant: line.variant.as_deref(),
                }
            }
        }
    };
}

mark!(LineItem, product_external_id);
mark!(NewCartLineItem, product_external_id);
mark!(ProductSaid, id);

#[cfg(test)]
mod tests {
    use super::*;

    fn mark<'a>(id: &'a str, sku: &'a str, name: &'a str, variant: &'a str) -> Mark<'a> {
        let said = |text: &'a str| (!text.is_empty()).then_some(text);
        Mark { id: said(id), sku: said(sku), name, variant: said(variant) }
    }

    #[test]
    fn a_line_is_found_by_its_id_then_its_sku_then_its_name() {
        let lines = [
            mark("1", "R-60", "Rope", "blue"),
            mark("1", "R-60", "Rope", "red"),
            mark("1", "R-70", "Long rope", ""),
            mark("", "C-1", "Chalk", ""),
            mark("", "", "Bag", ""),
        ];
        for (said, found) in [
            (mark("1", "", "1", ""), Some(0)),
            (mark("1", "", "1", "red"), Some(1)),
            (mark("1", "R-70", "1", ""), Some(2)),
            (mark("9", "C-1", "9", ""), Some(3)),
            (mark("9", "", "Bag", ""), Some(4)),
            (mark("9", "", "Rope", ""), None),
            (mark("9", "", "9", ""), None),
        ] {
            assert_eq!(find(&lines, said), found, "{said:?}");
        }
        assert_eq!(find_exact(&lines, mark("1", "R-60", "Rope", "")), None);
        assert_eq!(find_exact(&lines, mark("1", "R-60", "Rope", "red")), Some(1));
    }
}
