/// Which fingerprint a message ends with (RFC 8489 §14.7).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Fingerprint {
    /// None.
    None,
    /// The CRC-32 of RFC 8489.
    #[default]
    Standard,
    /// MS-ICE2's CRC-32 with one altered table entry.
    Altered,
}

/// The value of a fingerprint over a message up to the attribute.
pub(crate) fn value(message: &[u8], table: Fingerprint) -> u32 {
    let crc = match table {
        Fingerprint::Altered => !altered(!0, message),
        Fingerprint::Standard | Fingerprint::None => crc32fast::hash(message),
    };
    crc ^ 0x5354_554e
}

fn altered(crc: u32, octets: &[u8]) -> u32 {
    octets.iter().fold(crc, |crc, &octet| {
        let [low, ..] = (crc ^ u32::from(octet)).to_le_bytes();
        ALTERED_TABLE.get(usize::from(low)).copied().unwrap_or(0) ^ (crc >> 8)
    })
}

/// The table of CRC-32/ISO-HDLC with the entry 0x8BBEB8EA written as 0x08BBE8EA, as the products
/// before Lync 2013 have it ([MS-ICE2], FINGERPRINT).
static ALTERED_TABLE: [u32; 256] = altered_table();

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn altered_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256_u32 {
        let mut entry = index;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 { (entry >> 1) ^ 0xedb8_8320 } else { entry >> 1 };
            bit += 1;
        }
        table[index as usize] = if entry == 0x8bbe_b8ea { 0x08bb_e8ea } else { entry };
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_differs() {
        assert_eq!(ALTERED_TABLE[90], 0x08bb_e8ea);
        assert_eq!(ALTERED_TABLE[1], 0x7707_3096);
    }

    #[test]
    fn tables_agree_until_the_entry_is_reached() {
        let differ = |message: &[u8]| {
            value(message, Fingerprint::Standard) != value(message, Fingerprint::Altered)
        };
        assert!(!differ(b""));
        // The first index is the octet xor 0xff.
        assert!(differ(&[0xff ^ 90]));
        assert!(!differ(&[0xff ^ 91]));
    }
}
