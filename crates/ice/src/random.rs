//! Credentials: drawing and checking them.

use crate::agent::PASSWORD_LEN;
use crate::{Credentials, Dialect};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand_core::Rng;

/// New credentials (RFC 8445 §5.3: at least 24 and 128 random bits).
pub(crate) fn credentials(random: &mut impl Rng, dialect: Dialect) -> Credentials {
    // As long as Lync's own. A fragment of 6 with a password of 32 characters would be taken for
    // base64 there ([MS-SDPEXT] 3.1.5.21.5).
    let ufrag = match dialect {
        // One password for all candidates, whose names stand for the fragment.
        Dialect::MsIce1 => {
            let mut octets = [0; PASSWORD_LEN];
            random.fill_bytes(&mut octets);
            return Credentials::new("", STANDARD_NO_PAD.encode(octets));
        }
        Dialect::Rfc8445 => 8,
        Dialect::MsIce2 => 4,
    };
    Credentials { ufrag: text(random, ufrag), pwd: text(random, 24) }
}

/// RFC 8839 §5.4: `ice-char` is a letter, a digit, `+` or `/`. Some write more than that, which
/// harms nobody but for the colon that ends the fragment in a username.
pub(crate) fn fits_grammar(credentials: &Credentials) -> bool {
    let fits = |text: &str| text.bytes().all(|octet| octet.is_ascii_graphic());
    (4..=256).contains(&credentials.ufrag.len())
        && (22..=256).contains(&credentials.pwd.len())
        && fits(&credentials.ufrag)
        && fits(&credentials.pwd)
        && !credentials.ufrag.contains(':')
}

fn text(random: &mut impl Rng, len: usize) -> String {
    let mut octets = [0; 32];
    random.fill_bytes(&mut octets);
    octets.iter().take(len).map(|octet| letter(octet & 63)).collect()
}

/// Six bits as an `ice-char`.
fn letter(bits: u8) -> char {
    char::from(match bits {
        0..26 => b'A' + bits,
        26..52 => b'a' + (bits - 26),
        52..62 => b'0' + (bits - 52),
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn drawn_credentials_fit_the_grammar() {
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        for _ in 0..100 {
            for dialect in [Dialect::Rfc8445, Dialect::MsIce2] {
                assert!(fits_grammar(&credentials(&mut random, dialect)));
            }
        }
    }

    #[test]
    fn short_and_broken_credentials_are_refused() {
        let pwd = "0123456789012345678901";
        for (ufrag, pwd) in [("abc", pwd), ("ab:d", pwd), ("abcd", "short"), ("ab d", pwd)] {
            assert!(!fits_grammar(&Credentials::new(ufrag, pwd)), "{ufrag} {pwd}");
        }
        assert!(fits_grammar(&Credentials::new("abcd", pwd)));
    }
}
