//! Writes binary data with digits and letters only, so that a double click selects all of it.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters that `bytes` bytes take: one character carries 5.954 bits.
pub const fn width(bytes: usize) -> usize {
    (bytes * 8 * 1000).div_ceil(5954)
}

/// The bytes as one big-endian number, padded with `0` to [`width`].
pub fn encode<const N: usize>(bytes: &[u8; N]) -> String {
    let mut number = *bytes;
    let mut digits = vec!['0'; width(N)];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(ALPHABET[take_digit(&mut number)]);
    }
    digits.into_iter().collect()
}

/// The only bytes that [`encode`] writes as `text`; none for any other text.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != width(N) {
        return None;
    }
    text.bytes().try_fold([0; N], |number, letter| push_digit(number, value(letter)?))
}

/// Divides the number by 62 in place and returns the remainder.
fn take_digit(number: &mut [u8]) -> usize {
    let mut remainder = 0;
    for byte in number {
        let dividend = remainder << 8 | u16::from(*byte);
        *byte = (dividend / 62) as u8;
        remainder = dividend % 62;
    }
    usize::from(remainder)
}

/// `number * 62 + digit`, unless it does not fit.
fn push_digit<const N: usize>(mut number: [u8; N], digit: u16) -> Option<[u8; N]> {
    let mut carry = digit;
    for byte in number.iter_mut().rev() {
        let sum = u16::from(*byte) * 62 + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    (carry == 0).then_some(number)
}

fn value(letter: u8) -> Option<u16> {
    let value = match letter {
        b'0'..=b'9' => letter - b'0',
        b'A'..=b'Z' => letter - b'A' + 10,
        b'a'..=b'z' => letter - b'a' + 36,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;

    #[test]
    fn every_value_comes_back_and_has_the_same_width() {
        assert_eq!(encode(&[0; 16]), "0".repeat(22));
        assert_eq!(encode(&[0, 0, 0, 61]), "00000z");
        for bytes in [[0; 16], [255; 16], random(), random()] {
            assert_eq!(encode(&bytes).len(), 22);
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert_eq!([4, 16, 20, 32].map(width), [6, 22, 27, 43]);
        assert_eq!(decode(&encode(&[255; 32])), Some([255; 32]));
    }

    #[test]
    fn a_text_that_nobody_wrote_is_refused() {
        assert_eq!(decode::<4>("zzzzzz"), None, "62^6 - 1 is more than four bytes hold");
        assert_eq!(decode::<4>("00000"), None);
        assert_eq!(decode::<4>("0000000"), None);
        assert_eq!(decode::<4>("0000-0"), None);
        assert_eq!(decode::<4>("0000é"), None);
    }
}
