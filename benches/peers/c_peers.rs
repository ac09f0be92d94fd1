//! The C peers, through `shims.c` and sofia-sip's own entry points.
#![allow(unsafe_code, reason = "C libraries, on this bench's own input")]

// What the build script links hangs on the package's library.
use linkspan_benches as _;
use srtp2_sys as _;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Once;

unsafe extern "C" {
    fn peer_nice_init();
    fn peer_nice_check(octets: *const u8, len: usize, password: *const c_char) -> c_int;
    fn peer_nice_sign(
        out: *mut u8,
        room: usize,
        user: *const c_char,
        password: *const c_char,
        priority: u32,
        tie_breaker: u64,
    ) -> usize;
    fn peer_srtp_new(suite: c_int, inbound: c_int, key: *const u8) -> *mut c_void;
    fn peer_srtp_free(session: *mut c_void);
    fn peer_srtp_protect(session: *mut c_void, packet: *mut u8, len: *mut c_int) -> c_int;
    fn peer_srtp_unprotect(session: *mut c_void, packet: *mut u8, len: *mut c_int) -> c_int;
    fn sip_default_mclass() -> *const c_void;
    fn msg_make(class: *const c_void, flags: c_int, data: *const c_void, len: isize)
    -> *mut c_void;
    fn msg_object(message: *mut c_void) -> *mut c_void;
    fn msg_destroy(message: *mut c_void);
}

/// sofia-sip types every header that it knows while it parses.
pub(crate) fn sofia_parse(input: &[u8]) -> bool {
    // SAFETY: the message copies its input, and is destroyed before it is used again.
    unsafe {
        let message =
            msg_make(sip_default_mclass(), 0, input.as_ptr().cast(), input.len() as isize);
        assert!(!message.is_null(), "sofia-sip refuses the message");
        let parsed = !msg_object(message).is_null();
        msg_destroy(message);
        parsed
    }
}

pub(crate) fn nice_check(octets: &[u8]) -> bool {
    nice_init();
    // SAFETY: the octets outlive the call; the password is a C string.
    unsafe {
        peer_nice_check(octets.as_ptr(), octets.len(), c"VOkJxbRl1RmTxUk/WvJxBt".as_ptr()) == 1
    }
}

pub(crate) fn nice_sign() -> usize {
    nice_init();
    let mut out = [0; 256];
    // SAFETY: the room is stated, the texts are C strings.
    unsafe {
        peer_nice_sign(
            out.as_mut_ptr(),
            out.len(),
            c"evtj:h6vY".as_ptr(),
            c"VOkJxbRl1RmTxUk/WvJxBt".as_ptr(),
            1_845_501_695,
            0x1122_3344_5566_7788,
        )
    }
}

fn nice_init() {
    static ONCE: Once = Once::new();
    // SAFETY: once, before anything else of the agent.
    ONCE.call_once(|| unsafe { peer_nice_init() });
}

/// One direction of a session of libsrtp, built with OpenSSL by `srtp2-sys`.
pub(crate) struct Srtp(*mut c_void);

impl Srtp {
    pub(crate) fn new(mut key: Vec<u8>, suite: u8, inbound: bool) -> Self {
        key.resize(64, 0);
        // SAFETY: the library copies the key.
        let session = unsafe { peer_srtp_new(suite.into(), inbound.into(), key.as_ptr()) };
        assert!(!session.is_null(), "libsrtp lacks the suite");
        Self(session)
    }

    /// `packet` has room for the tag behind its first `len` octets.
    pub(crate) fn protect(&mut self, packet: &mut [u8], len: usize) -> usize {
        let mut octets = len as c_int;
        // SAFETY: the room is the caller's promise, kept by the one caller there is.
        let code = unsafe { peer_srtp_protect(self.0, packet.as_mut_ptr(), &raw mut octets) };
        assert_eq!(code, 0, "libsrtp does not protect");
        octets as usize
    }

    pub(crate) fn unprotect(&mut self, packet: &mut [u8], len: usize) -> usize {
        let mut octets = len as c_int;
        // SAFETY: the result is shorter than the input.
        let code = unsafe { peer_srtp_unprotect(self.0, packet.as_mut_ptr(), &raw mut octets) };
        assert_eq!(code, 0, "libsrtp does not unprotect");
        octets as usize
    }
}

impl Drop for Srtp {
    fn drop(&mut self) {
        // SAFETY: made by peer_srtp_new, freed once.
        unsafe { peer_srtp_free(self.0) }
    }
}
