//! Compiles the shims of the C peers, when they are asked for.

fn main() {
    println!("cargo:rerun-if-changed=peers/shims.c");
    #[cfg(feature = "c-peers")]
    shims();
}

#[cfg(feature = "c-peers")]
fn shims() {
    let mut build = cc::Build::new();
    build.file("peers/shims.c").include("/usr/include/nice").opt_level(3).warnings(false);
    for folder in ["/usr/include/glib-2.0", "/usr/lib/x86_64-linux-gnu/glib-2.0/include"] {
        build.include(folder);
    }
    build.compile("linkspan_peer_shims");
    // libsrtp itself comes from srtp2-sys; its header is Debian's, whose policies are the same.
    for library in ["nice", "sofia-sip-ua"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
