//! The session section of a description, read.

use crate::section::Lines;
use crate::{Attribute, Bandwidth, Connection, Direction, Group, Origin, ms};

/// What stands before the first `m=` line of a description.
#[derive(Clone, Copy, Debug)]
pub struct SessionView<'a> {
    lines: Lines<'a>,
}

impl<'a> SessionView<'a> {
    pub(crate) const fn new(lines: Lines<'a>) -> Self {
        Self { lines }
    }

    /// The `o=` line.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'a>> {
        self.lines.first(b'o').and_then(Origin::parse)
    }

    /// The `s=` line.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.lines.first(b's')
    }

    /// The `c=` line.
    #[must_use]
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.lines.first(b'c').and_then(Connection::parse)
    }

    /// The `b=` lines.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        self.lines.all(b'b').filter_map(Bandwidth::parse)
    }

    /// The values of the `t=` lines.
    pub fn times(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.lines.all(b't')
    }

    /// Letter and value of every line, in order.
    pub fn lines(&self) -> impl Iterator<Item = (char, &'a str)> + use<'a> {
        self.lines.iter().filter(|(l, _)| *l != 0).map(|(letter, value)| (letter.into(), value))
    }

    /// The session-level attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.lines.attributes()
    }

    /// The value of the first attribute of a name; empty for a flag.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.lines.attribute(name)
    }

    /// The session-level direction, when there is one.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.attributes().find_map(|a| Direction::from_name(a.name))
    }

    /// Whether the writer is a lite ICE agent (RFC 8839 §5.3).
    #[must_use]
    pub fn ice_lite(&self) -> bool {
        self.attribute("ice-lite").is_some()
    }

    /// `a=group` lines (RFC 5888).
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        let lines = self.lines.attributes().filter(|a| a.name == "group");
        lines.map(|a| Group::parse(a.value.unwrap_or_default()))
    }

    /// `a=x-devicecaps` (\[MS-SDPEXT\] 3.1.5.29.2): kind of device, and whether it sends and
    /// receives. Empty when there is none.
    pub fn device_capabilities(&self) -> impl Iterator<Item = (&'a str, Direction)> + use<'a> {
        let value = self.attribute("x-devicecaps").unwrap_or_default();
        value.split(';').filter_map(|device| {
            let (kind, ways) = device.trim().split_once(':')?;
            let has = |way: &str| ways.split(',').any(|w| w.trim() == way);
            Some((kind, Direction::new(has("send"), has("recv"))))
        })
    }

    /// `a=x-mediasettings` lines: name and value of every setting, the value empty for a bare name.
    pub fn media_settings(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let lines = self.lines.attributes().filter(|a| a.name == "x-mediasettings");
        lines.flat_map(|a| a.value.unwrap_or_default().split([';', ' '])).filter_map(|setting| {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let name = name.trim();
            (!name.is_empty()).then(|| (name, value.trim()))
        })
    }

    /// `a=x-mediabw` lines (\[MS-SDPEXT\] 3.1.5.28.1).
    pub fn media_bandwidths(&self) -> impl Iterator<Item = ms::MediaBandwidth<'a>> {
        self.attributes()
            .filter(|a| a.name == "x-mediabw")
            .filter_map(|a| ms::MediaBandwidth::parse(a.value?).ok())
    }
}
