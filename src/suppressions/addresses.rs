//! Addresses as the list knows them: by which mark a customer is reached where, and its hash.

use aws_lc_rs::hmac;

use crate::channels::ChannelType;
use crate::customers::IdentityType;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::values::{Email, Phone};

/// By which mark of a customer a type of channel reaches it; `None` where it needs none.
pub fn address_kind(channel: ChannelType) -> Option<IdentityType> {
    match channel {
        ChannelType::Email => Some(IdentityType::Email),
        ChannelType::Sms | ChannelType::Whatsapp | ChannelType::Phone => Some(IdentityType::Phone),
        ChannelType::Push => Some(IdentityType::DeviceId),
        ChannelType::Social => Some(IdentityType::Social),
        ChannelType::Chat
        | ChannelType::Chatbot
        | ChannelType::Web
        | ChannelType::MobileApp
        | ChannelType::Meeting
        | ChannelType::Post
        | ChannelType::Pos
        | ChannelType::Webhook => None,
    }
}

/// Turns addresses into what the list knows of them.
pub struct AddressHasher(hmac::Key);

impl AddressHasher {
    /// With the key of the workspace, which no table holds in the clear.
    pub fn load(conn: &mut Conn) -> Result<Self> {
        Ok(Self(conn.data_key()?.signing_key("suppressed_addresses")))
    }

    /// The hash of an address in the form in which it is compared. The same number is another one
    /// for each type of channel.
    pub fn hash(&self, channel: ChannelType, norm: &str) -> Vec<u8> {
        hmac::sign(&self.0, format!("{channel}|{norm}").as_bytes()).as_ref().to_vec()
    }
}

/// An address in the form in which it is compared; 422 where this type of channel reaches none.
pub fn normal(channel: ChannelType, address: &str) -> Result<String> {
    let read = match address_kind(channel) {
        Some(IdentityType::Email) => Email::parse(address).map(|email| email.norm),
        Some(IdentityType::Phone) => Phone::parse(address, None).map(|phone| phone.e164),
        _ => Some(address.trim().to_owned()).filter(|address| !address.is_empty()),
    };
    read.ok_or_else(|| {
        let detail = format!("`address` is none that `{channel}` reaches");
        Error::field("#/address", "invalid_address", detail)
    })
}
