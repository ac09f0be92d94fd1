//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4).

use crate::uri::UriRef;

pub(crate) fn equal(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    // A URI equals itself, even one that has a parameter twice (which §19.1.1 forbids).
    if a.as_str() == b.as_str() {
        return true;
    }
    if a.is_sip() && b.is_sip() {
        return sip_equal(a, b);
    }
    if a.is_tel() && b.is_tel() {
        return tel_equal(a, b);
    }
    false
}

fn sip_equal(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    // "The userinfo is case-sensitive"; everything else is not, and a default port is not the
    // same as no port.
    a.scheme().eq_ignore_ascii_case(b.scheme())
        && unescaped_eq(a.user(), b.user(), false)
        && unescaped_eq(a.password(), b.password(), false)
        && hosts_equal(a, b)
        && a.port() == b.port()
        && params_compatible(a, b)
        && params_compatible(b, a)
        && headers_equal(a, b)
}

fn hosts_equal(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    match (a.host_ip(), b.host_ip()) {
        (Some(a), Some(b)) => a == b,
        _ => a.host().eq_ignore_ascii_case(b.host()),
    }
}

/// What stands in both must match; user, ttl, method, maddr and transport must stand in both.
fn params_compatible(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    if a.params().as_str().len() > COMPARED || b.params().as_str().len() > COMPARED {
        return a.params().as_str() == b.params().as_str();
    }
    const BOTH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    a.params().iter().all(|(name, value)| {
        if b.params().contains(name) {
            unescaped_eq(value, b.params().value(name), true)
        } else {
            !BOTH.iter().any(|both| both.eq_ignore_ascii_case(name))
        }
    })
}

/// Header components are never ignored, in any order.
fn headers_equal(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    let (Some(a), Some(b)) = (a.headers(), b.headers()) else {
        return a.headers().is_none() && b.headers().is_none();
    };
    if a.len() > COMPARED || b.len() > COMPARED {
        return a == b;
    }
    let pairs = |text: &str| {
        let mut pairs: Vec<(String, Vec<u8>)> = text
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), unescape(value).collect()))
            .collect();
        pairs.sort();
        pairs
    };
    pairs(a) == pairs(b)
}

fn tel_equal(a: &UriRef<'_>, b: &UriRef<'_>) -> bool {
    // RFC 3966 §4: visual separators do not count, parameters are compared without regard to case
    // and in any order.
    let digits = |uri: &UriRef<'_>| -> String {
        let number = uri.user().unwrap_or("").chars();
        number
            .filter(|char| !"-.()".contains(*char))
            .map(|char| char.to_ascii_lowercase())
            .collect()
    };
    let within = |a: &UriRef<'_>, b: &UriRef<'_>| {
        if a.params().as_str().len() > COMPARED || b.params().as_str().len() > COMPARED {
            return a.params().as_str() == b.params().as_str();
        }
        a.params().iter().all(|(name, value)| {
            b.params().contains(name) && unescaped_eq(value, b.params().value(name), true)
        })
    };
    digits(a) == digits(b) && within(a, b) && within(b, a)
}

fn unescaped_eq(a: Option<&str>, b: Option<&str>, ignore_case: bool) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) if ignore_case => unescape(a)
            .map(|octet| octet.to_ascii_lowercase())
            .eq(unescape(b).map(|octet| octet.to_ascii_lowercase())),
        (Some(a), Some(b)) => unescape(a).eq(unescape(b)),
        _ => false,
    }
}

fn unescape(text: &str) -> impl Iterator<Item = u8> + '_ {
    let mut bytes = text.bytes();
    core::iter::from_fn(move || {
        let octet = bytes.next()?;
        if octet != b'%' {
            return Some(octet);
        }
        let mut ahead = bytes.clone();
        let digit = |octet: Option<u8>| octet.and_then(|octet| char::from(octet).to_digit(16));
        match (digit(ahead.next()), digit(ahead.next())) {
            (Some(high), Some(low)) => {
                bytes = ahead;
                u8::try_from(high * 16 + low).ok()
            }
            _ => Some(octet),
        }
    })
}

/// Longer parts are compared as text, so that hostile ones cost linear time.
const COMPARED: usize = 4096;
