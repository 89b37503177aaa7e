//! The accepted keys, as digests.

use std::hint::black_box;

use sha2::{Digest, Sha256};

const DIGEST_BYTES: usize = 32;

/// The accepted keys: the name of each client and the SHA-256 of its key.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

#[derive(Debug, PartialEq, Eq)]
struct Key {
    client: String,
    digest: [u8; DIGEST_BYTES],
}

/// Why a list of keys is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The list is empty.
    #[error("the list of keys is empty")]
    Empty,
    /// An entry has another form.
    #[error("entry {0} of the list of keys must be NAME=DIGEST, with 64 lowercase hex digits")]
    Entry(usize),
    /// Two entries have the same name.
    #[error("entry {0} of the list of keys has the name of an earlier entry")]
    Repeated(usize),
}

impl Keys {
    /// Parses `NAME=DIGEST,NAME=DIGEST`. A message has the number of an entry, never its content.
    ///
    /// # Errors
    /// - [`KeysError::Empty`] if there is no entry.
    /// - [`KeysError::Entry`] if an entry has another form.
    /// - [`KeysError::Repeated`] if a name occurs twice.
    pub fn parse(list: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in
            list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate()
        {
            let number = index + 1;
            let (client, hex) = entry.split_once('=').ok_or(KeysError::Entry(number))?;
            let digest = decode(hex).ok_or(KeysError::Entry(number))?;
            if client.is_empty() {
                return Err(KeysError::Entry(number));
            }
            if keys.iter().any(|key| key.client == client) {
                return Err(KeysError::Repeated(number));
            }
            keys.push(Key { client: client.to_owned(), digest });
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self(keys)) }
    }

    /// Returns the client that a key belongs to. The time does not depend on the key's content: every
    /// digest is compared, to its last byte.
    #[must_use]
    pub fn client_of(&self, key: &str) -> Option<&str> {
        let digest = Sha256::digest(key.as_bytes());
        let mut found = None;
        for known in &self.0 {
            let mut difference = 0;
            for (known, given) in known.digest.iter().zip(digest.iter()) {
                difference |= black_box(known ^ given);
            }
            if black_box(difference) == 0 {
                found = Some(known.client.as_str());
            }
        }
        found
    }
}

/// Returns the bytes of 64 lowercase hex digits.
fn decode(hex: &str) -> Option<[u8; DIGEST_BYTES]> {
    if hex.len() != 2 * DIGEST_BYTES {
        return None;
    }
    let mut digest = [0; DIGEST_BYTES];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = 16 * nibble(pair[0])? + nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// SHA-256 of the empty text.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_key_is_found_by_its_digest() {
        let keys = Keys::parse(&format!("search={ABC}, team-2={EMPTY}")).unwrap();
        assert_eq!(keys.client_of("abc"), Some("search"));
        assert_eq!(keys.client_of(""), Some("team-2"));
        for other in ["abd", "ABC", "abc ", "ab", "abcabc", ABC] {
            assert_eq!(keys.client_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_digest_that_differs_in_any_byte_is_another() {
        for position in 0..ABC.len() {
            let mut hex = ABC.to_owned();
            let other = if &hex[position..=position] == "0" { "1" } else { "0" };
            hex.replace_range(position..=position, other);
            let keys = Keys::parse(&format!("search={hex}")).unwrap();
            assert_eq!(keys.client_of("abc"), None, "digit {position}");
        }
    }

    #[test]
    fn an_invalid_list_is_refused_without_its_content() {
        let upper = ABC.to_uppercase();
        for (list, expected) in [
            (String::new(), KeysError::Empty),
            (" , ,".to_owned(), KeysError::Empty),
            (ABC.to_owned(), KeysError::Entry(1)),
            (format!("={ABC}"), KeysError::Entry(1)),
            (format!("a={ABC},b={upper}"), KeysError::Entry(2)),
            (format!("a={}", &ABC[1..]), KeysError::Entry(1)),
            (format!("a={ABC}0"), KeysError::Entry(1)),
            (format!("a={ABC},a={EMPTY}"), KeysError::Repeated(2)),
        ] {
            let error = Keys::parse(&list).unwrap_err();
            assert_eq!(error, expected, "{list}");
            assert!(!error.to_string().contains(&ABC[..8]));
        }
    }
}
