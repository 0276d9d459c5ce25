//! What counts as a proper email, phone number, price, date or free text, decided in one place.
//!
//! Pure functions and small types without I/O. [`valid`] wraps them for `#[validate(custom(…))]`.

pub mod country;
pub mod currency;
pub mod duration;
pub mod email;
pub mod free;
pub mod items;
pub mod json;
pub mod locale;
pub mod money;
pub mod phone;
pub mod scan;
pub mod spreadsheet;
pub mod text;
pub mod time;
pub mod timezone;
pub mod valid;

pub use duration::IsoDuration;
pub use email::Email;
pub use money::{Money, MoneyError};
pub use phone::Phone;
