//! What becomes of each line of an offer: the fate of every attribute, known or not.

use super::Explanation;
use crate::{Attribute, Capability, SessionDescription};

/// One explanation for each kind of line in each section, in the order of their first lines.
pub(super) fn explain(offer: &SessionDescription) -> Vec<Explanation> {
    let mut found = Vec::new();
    let session = offer.session();
    section(None, session.lines(), &mut found);
    for (index, view) in offer.media_views().enumerate() {
        let line = format!("{} {} {}", view.kind(), view.port(), view.proto());
        let text = format!("m={line}: see the section, and the codecs for its formats");
        found.push(Explanation { media: Some(index), subject: "line", text });
        section(Some(index), view.lines(), &mut found);
    }
    found
}

fn section<'a>(
    media: Option<usize>,
    lines: impl Iterator<Item = (char, &'a str)>,
    found: &mut Vec<Explanation>,
) {
    // Name, fate, and how many lines there are.
    let mut kinds: Vec<(String, &'static str, usize)> = Vec::new();
    for (letter, value) in lines {
        let (name, fate) = match letter {
            'a' => {
                let name = Attribute::from_line(value).name;
                (format!("a={name}"), attribute(name))
            }
            letter => (format!("{letter}="), of_letter(letter)),
        };
        match kinds.iter_mut().find(|(known, ..)| *known == name) {
            Some((.., count)) => *count += 1,
            None => kinds.push((name, fate, 1)),
        }
    }
    for (name, fate, count) in kinds {
        let times = if count > 1 { format!(" ({count} lines)") } else { String::new() };
        let text = format!("{name}{times}: {fate}");
        found.push(Explanation { media, subject: "line", text });
    }
}

fn of_letter(letter: char) -> &'static str {
    match letter {
        'v' | 't' => "the same in every description",
        'o' | 's' => "ours is written: each side is a session of its own",
        'c' => "ours is written: media goes through the gateway",
        'b' => "a limit of what is sent, not copied; CT limits nothing",
        'k' => "the old way of naming a key: ignored, never repeated",
        _ => "has no counterpart: not carried",
    }
}

/// What becomes of an attribute.
fn attribute(name: &str) -> &'static str {
    match name {
        "rtpmap" | "fmtp" => "see the codecs",
        "crypto" | "cryptoscale" | "encryption" => "ends here: each side has keys of its own",
        "fingerprint" | "setup" | "connection" | "tls-id" => {
            "ends here: each side has a connection of its own"
        }
        "candidate" | "x-candidate-ipv6" | "x-candidate-info" | "remote-candidate"
        | "remote-candidates" | "ice-ufrag" | "ice-pwd" | "ice-options" | "ice-lite"
        | "ice-mismatch" | "end-of-candidates" | "ice-pacing" => {
            "ends here: each side has ICE of its own, or none"
        }
        "rtcp" | "rtcp-mux" | "rtcp-mux-only" => "ends here: RTCP has ports of ours",
        "rtcp-fb" | "rtcp-rsize" => "translated: the other side's feedback is written in its words",
        "ssrc" | "ssrc-group" | "x-ssrc-range" | "x-source-streamid" | "msid" | "cname" => {
            "ends here: sources are numbered anew"
        }
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => "translated: see the direction",
        "ptime" | "maxptime" => "a wish of this side; packets pass as they come",
        "label" | "x-source" | "x-sourceid" | "content" => {
            "the role on this side; the other side's has names of its own"
        }
        "mid" | "group" | "bundle-only" => "answered without BUNDLE: each section has a transport",
        "extmap" | "extmap-allow-mixed" => "header extensions are not carried",
        "x-mediabw" => "a limit of what is sent: see the bandwidth",
        "x-caps" | "imageattr" | "framerate" | "framesize" => {
            "sizes of this side: the other side's are asked for when media flows"
        }
        "x-devicecaps" | "x-mediasettings" | "x-bypassid" | "x-bypass" => {
            "Lync's word about itself: read, never repeated"
        }
        "floorctrl" | "confid" | "userid" | "floorid" | "bfcpver" => "floors are not carried",
        name if name.starts_with("x-application") => "application sharing is not carried",
        name if Capability::is_name(name) => "answered with the actual configuration",
        _ => "not known here: ignored, never repeated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_fate() {
        let text = "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nz=?\r\n\
            a=x-odd:1\r\nm=audio 4000 RTP/AVP 0\r\na=candidate:1\r\na=candidate:2\r\na=sendonly\r\n\
            a=pcfg:1\r\na=x-applicationsharing-role:sharer\r\n";
        let explained = explain(&text.parse().unwrap());
        let texts: Vec<String> = explained.iter().map(ToString::to_string).collect();
        let has = |text: &str| texts.iter().any(|t| t.contains(text));
        assert!(has("session line: a=x-odd: not known here"), "{texts:#?}");
        assert!(has("m=0 line: a=candidate (2 lines): ends here"), "{texts:#?}");
        assert!(has("a=sendonly: translated") && has("actual configuration"), "{texts:#?}");
        assert_eq!(texts.len(), 7 + 1 + 4);
    }
}
