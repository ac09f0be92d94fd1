//! `a=x-caps`.

use core::fmt;

use nom::{
    IResult, Parser,
    bytes::complete::take_while1,
    character::complete::{char, space0, space1, u8 as byte, u32 as number},
    combinator::{opt, recognize},
    multi::separated_list1,
    sequence::preceded,
};

use crate::AttributeError;

/// `a=x-caps` (\[MS-SDPEXT\] 3.1.5.24): what the writer can receive with one video payload type.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VideoCapabilities {
    /// The payload type.
    pub payload_type: u8,
    /// The sizes, in order.
    pub capabilities: Vec<VideoCapability>,
}

/// One size of an `a=x-caps` line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VideoCapability {
    /// Identifier, unique in the line.
    pub id: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second, as written.
    pub frame_rate: String,
    /// Bit rate at most.
    pub bitrate_bps: u32,
    /// A last field whose meaning is not documented.
    pub extra: Option<String>,
}

impl VideoCapabilities {
    /// Parses the attribute's value.
    ///
    /// # Errors
    ///
    /// When it is not `pt id:w:h:fps:bps[:extra]{;…}`.
    pub fn parse(value: &str) -> Result<Self, AttributeError> {
        let at = |rest: &str| value.len() - rest.len();
        let (rest, (payload_type, _)) =
            (byte::<_, nom::error::Error<&str>>, space1)
                .parse(value)
                .map_err(|_| AttributeError::new("x-caps", 0, "a payload type"))?;
        let (left, capabilities) = separated_list1((char(';'), space0), capability)
            .parse(rest)
            .map_err(|_| AttributeError::new("x-caps", at(rest), "id:width:height:fps:bps"))?;
        if left.trim_matches([' ', ';']).is_empty() {
            Ok(Self { payload_type, capabilities })
        } else {
            Err(AttributeError::new("x-caps", at(left), "; or the end"))
        }
    }
}

impl fmt::Display for VideoCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.payload_type)?;
        for (index, c) in self.capabilities.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{}:{}:{}:", c.id, c.width, c.height)?;
            write!(f, "{}:{}", c.frame_rate, c.bitrate_bps)?;
            if let Some(extra) = &c.extra {
                write!(f, ":{extra}")?;
            }
        }
        Ok(())
    }
}

fn capability(input: &str) -> IResult<&str, VideoCapability> {
    let rate = recognize(take_while1(|c: char| c.is_ascii_digit() || c == '.'));
    let extra = preceded(char(':'), take_while1(|c: char| !matches!(c, ';' | ' ')));
    let (rest, (id, _, width, _, height, _, rate, _, bitrate_bps, extra)) = (
        number,
        char(':'),
        number,
        char(':'),
        number,
        char(':'),
        rate,
        char(':'),
        number,
        opt(extra),
    )
        .parse(input)?;
    let capability = VideoCapability {
        id,
        width,
        height,
        frame_rate: rate.into(),
        bitrate_bps,
        extra: extra.map(|e: &str| e.into()),
    };
    Ok((rest, capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_the_ladder_of_a_client() {
        let text = "121 263:1920:1080:30.0:2000000:1;4359:1280:720:30.0:1500000:1;8455:640:480:30.0:600000:1";
        let caps = VideoCapabilities::parse(text).unwrap();
        assert_eq!(caps.capabilities[1].height, 720);
        assert_eq!(caps.to_string(), text);
    }

    #[test]
    fn says_where_it_is_wrong() {
        let error = VideoCapabilities::parse("121 263:1920").unwrap_err();
        assert_eq!(error.at, 4);
        assert!(VideoCapabilities::parse("x").is_err());
        assert!(VideoCapabilities::parse("121 1:1:1:1:1:1 x").is_err());
    }
}
