//! The older [MS-ICE] (ICE draft 06, Office Communicator 2007): every candidate has a user name and a
//! password of its own, checks carry nothing else, and nobody nominates.

use super::{Agent, FoundationKey};
use crate::pair::{PairState, Valid};
use crate::stream::{OlderUser, Stream};
use crate::{
    AgentError, Candidate, CandidateKind, CandidateTransport, Credentials, Dialect, StreamId,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use linkspan_stun::IntegrityKey;
use rand_core::Rng;
use std::net::SocketAddr;
use std::time::Instant;

impl Agent {
    /// [`set_remote`](Self::set_remote) in the older [MS-ICE]: the peer's candidates, each with its
    /// password. A candidate's foundation is its user name; its priority is the preference in
    /// thousandths, `0.830` being 830. Called again with the same candidates it changes nothing; with
    /// others the peer has restarted.
    ///
    /// This side's candidates have their user names as their foundations, and all of them the
    /// password of [`local_credentials`](Self::local_credentials); both are base64 without padding,
    /// as `a=candidate` has them ([MS-ICE] 3.1.4.8.1).
    ///
    /// # Errors
    ///
    /// [`AgentError::Credentials`] where a user name is not 32 octets in base64 or a password not 16,
    /// without candidates, and in another dialect; [`AgentError::Limit`].
    ///
    /// ```
    /// use linkspan_ice::{Agent, AgentConfig, Dialect, Role};
    /// use std::time::Instant;
    ///
    /// let now = Instant::now();
    /// let new = |role, seed| Agent::new(AgentConfig::new(Dialect::MsIce1, role), [seed; 32], now);
    /// let (mut caller, mut callee) = (new(Role::Controlling, 1), new(Role::Controlled, 2));
    /// let audio = caller.add_stream(2)?;
    /// callee.add_stream(2)?;
    /// for component in 1..=2 {
    ///     caller.add_host_candidate(audio, component, format!("192.0.2.1:500{component}").parse()?, now)?;
    /// }
    /// let password = caller.local_credentials(audio).pwd.clone();
    /// let described = caller.local_candidates(audio).iter().map(|c| (c.clone(), password.clone()));
    /// callee.set_remote_older(audio, described.collect(), now)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_remote_older(
        &mut self,
        stream: StreamId,
        candidates: Vec<(Candidate, String)>,
        now: Instant,
    ) -> Result<(), AgentError> {
        let users: Option<Vec<OlderUser>> = candidates
            .iter()
            .map(|(candidate, password)| {
                let user = decoded(&candidate.foundation, USER_LEN)?;
                let key = IntegrityKey::short_term(decoded(password, PASSWORD_LEN)?);
                Some(OlderUser { user, key })
            })
            .collect();
        let first = candidates.first().map(|(c, p)| Credentials::new(&c.foundation, p));
        let (Some(users), Some(first), Dialect::MsIce1) = (users, first, self.config.dialect)
        else {
            return Err(AgentError::Credentials);
        };
        if candidates.len() > self.config.limits.candidates {
            return Err(AgentError::Limit("candidates"));
        }
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        this.users = users;
        let candidates = candidates.into_iter().map(|(candidate, _)| candidate).collect();
        self.set_remote(stream, first, candidates, now)
    }

    /// The final offer of the older [MS-ICE] (3.1.6.2), by which the two sides agree where they had
    /// chosen apart: for a component `user` is what `a=remote-candidate` names, a candidate of this
    /// side, and `remote` the address in its only candidate. The component moves to that pair.
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownComponent`] where there is no such pair, or nothing has come on it.
    pub fn set_final_pair(
        &mut self,
        stream: StreamId,
        component: u16,
        user: &str,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<(), AgentError> {
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        let name = BASE64.decode(user.trim_end_matches('=')).unwrap_or_default();
        let name = BASE64.encode(name.get(..USER_LEN).unwrap_or_default());
        let named =
            this.locals.iter().position(|c| c.component == component && c.foundation == name);
        let base = named.and_then(|index| this.bases.get(index)).copied();
        // The peer's check has come by it, and our answer went back the same way.
        let chosen = this.pairs.iter().position(|pair| {
            pair.component == component
                && (pair.state == PairState::Succeeded || pair.is_heard)
                && this.bases.get(pair.local).copied() == base
                && this.remotes.get(pair.remote).is_some_and(|known| known.address == remote)
        });
        let chosen = chosen.ok_or(AgentError::UnknownComponent)?;
        for (index, pair) in this.pairs.iter_mut().enumerate() {
            if pair.component == component {
                pair.is_nominated = index == chosen;
            }
            if index == chosen {
                pair.state = PairState::Succeeded;
                pair.valid = pair.valid.or_else(|| named.map(Valid::Signalled));
            }
        }
        self.select(stream.0, component, now);
        self.pump(now);
        Ok(())
    }

    /// Nobody nominates: each side takes the best pair when no better one can come, or when the
    /// phase is over, and the final offer says which it was.
    pub(super) fn choose_older(
        &mut self,
        stream: usize,
        chosen: Vec<(u16, Option<usize>)>,
        now: Instant,
    ) {
        for (component, pair) in chosen {
            let this = self.streams.get_mut(stream);
            let pair = this.and_then(|this| this.pairs.get_mut(pair?));
            if let Some(pair) = pair {
                pair.is_nominated = true;
                self.select(stream, component, now);
            }
        }
    }

    /// With a restart every candidate gets a new name.
    pub(super) fn rename_older(&mut self, stream: usize) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        for (_, user) in &mut this.own_users {
            let mut octets = [0; USER_LEN];
            self.random.fill_bytes(&mut octets);
            let new = BASE64.encode(octets);
            let named = this.locals.iter_mut().filter(|local| local.foundation == *user);
            named.for_each(|local| local.foundation.clone_from(&new));
            *user = new;
        }
    }

    /// The name of a local candidate: the user name in the older [MS-ICE], a small number elsewhere,
    /// because [MS-ICE2] carries it in four octets.
    pub(super) fn foundation_of(&mut self, stream: usize, mut key: FoundationKey) -> String {
        if self.config.dialect != Dialect::MsIce1 {
            return self.foundation(key).to_string();
        }
        if !key.transport.is_udp() {
            // One line stands for both directions.
            key.transport = CandidateTransport::TcpActive;
        }
        let number = self.foundation(key);
        let mut octets = [0; USER_LEN];
        self.random.fill_bytes(&mut octets);
        let Some(this) = self.streams.get_mut(stream) else { return String::new() };
        let known = this.own_users.iter().find(|(known, _)| *known == number);
        if let Some((_, user)) = known {
            return user.clone();
        }
        let user = BASE64.encode(octets);
        this.own_users.push((number, user.clone()));
        user
    }
}

/// USERNAME of a check ([MS-ICE]): both names, each with the component.
pub(super) fn username(remote: &Candidate, local: &Candidate) -> Vec<u8> {
    let mut name = BASE64.decode(&remote.foundation).unwrap_or_default();
    let component = local.component.to_string();
    for part in [b":", component.as_bytes(), b":"] {
        name.extend_from_slice(part);
    }
    name.extend(BASE64.decode(&local.foundation).unwrap_or_default());
    for part in [&b":"[..], component.as_bytes()] {
        name.extend_from_slice(part);
    }
    name
}

/// Who has sent a check to a local candidate: its name in base64. `None` when it is for another.
///
/// What the peer has learnt of us from a check it calls by both names, ours first.
pub(super) fn sender(local: &Candidate, username: &[u8]) -> Option<String> {
    let own = BASE64.decode(&local.foundation).ok()?;
    let end = format!(":{}", local.component);
    let rest = username.strip_prefix(&own[..])?.strip_suffix(end.as_bytes())?;
    let middle = format!("{end}:");
    let name = match rest.strip_prefix(middle.as_bytes()) {
        Some(name) => name,
        None => rest.get(USER_LEN..)?.strip_prefix(middle.as_bytes())?,
    };
    [USER_LEN, 2 * USER_LEN].contains(&name.len()).then(|| BASE64.encode(name))
}

/// The same for what has arrived at the base of a local candidate: the check may name any candidate
/// that has this base, as the reflexive one.
pub(super) fn sender_at(stream: &Stream, local: usize, username: &[u8]) -> Option<String> {
    let at = stream.locals.get(local).zip(stream.bases.get(local))?;
    let all = stream.locals.iter().zip(&stream.bases);
    let mut here = all.filter(|(c, base)| c.component == at.0.component && *base == at.1);
    here.find_map(|(candidate, _)| sender(candidate, username))
}

/// The name of a candidate that was learnt from a check: of the one it belongs to, and of the other.
pub(super) fn joined(one: &str, other: &str) -> String {
    let mut name = BASE64.decode(one).unwrap_or_default();
    name.extend(BASE64.decode(other).unwrap_or_default());
    // A name of a name would grow without end.
    name.truncate(2 * USER_LEN);
    BASE64.encode(name)
}

/// The key of a candidate's password.
pub(super) fn key_of(users: &[OlderUser], user: &str) -> Option<IntegrityKey> {
    let name = BASE64.decode(user).ok()?;
    let name = name.get(..USER_LEN)?;
    let known = users.iter().find(|known| known.user == name);
    known.map(|known| known.key.clone())
}

/// The candidate that a peer's check belongs to.
pub(super) fn announced<'a>(stream: &'a Stream, user: &str) -> Option<&'a Candidate> {
    let user = BASE64.decode(user).ok()?;
    stream.remotes.iter().find(|remote| {
        remote.kind != CandidateKind::Prflx
            && BASE64.decode(&remote.foundation).is_ok_and(|name| user.starts_with(&name))
    })
}

fn decoded(text: &str, len: usize) -> Option<Vec<u8>> {
    // Some write the padding too.
    let octets = BASE64.decode(text.trim_end_matches('=')).ok()?;
    (octets.len() == len).then_some(octets)
}

/// [MS-ICE] 3.1.4.8.1: octets of a user name, and of a password.
const USER_LEN: usize = 32;
pub(crate) const PASSWORD_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use linkspan_stun::{Class, Message, MessageBuilder, Method};

    /// Checks and answers of libnice in its mode for Office Communicator 2007, written again.
    #[test]
    fn checks_are_those_of_another_implementation() {
        let Some(folder) = linkspan_testnet::vectors("ice") else { return };
        let text = std::fs::read_to_string(folder.join("libnice_oc2007.jsonl")).unwrap();
        let (mut candidates, mut count) = (Vec::new(), 0);
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            if record["record"] == "scenario" {
                candidates = record["candidates"].as_array().unwrap().clone();
                continue;
            }
            let hex = record["hex"].as_str().unwrap();
            let octets: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let is_plain = record["scenario"] == "plain";
            let message = Message::parse(&octets, linkspan_stun::Dialect::MsIce1);
            let Some(message) = message.ok().filter(|m| is_plain && m.username().is_some()) else {
                continue;
            };
            let named = |agent: &str| {
                let component = u16::try_from(record["component"].as_u64().unwrap()).unwrap();
                let found = candidates
                    .iter()
                    .find(|c| c["agent"] == agent && c["comp"].as_u64() == Some(component.into()));
                let found = found.unwrap();
                let foundation = found["username"].as_str().unwrap().trim_end_matches('=');
                let at = "192.0.2.1:1".parse().unwrap();
                let password = found["password"].as_str().unwrap().to_owned();
                (Candidate::host(foundation, component, at, 830), password)
            };
            let (mut from, mut to) = ("L", "R");
            let is_right = record["dir"] == "R->L";
            if is_right == (message.class() == Class::Request) {
                (from, to) = (to, from);
            }
            let ((local, _), (remote, password)) = (named(from), named(to));
            let key = IntegrityKey::short_term(decoded(&password, PASSWORD_LEN).unwrap());
            message.verify_integrity(&key).unwrap();
            assert_eq!(
                sender(&remote, message.username().unwrap()),
                Some(local.foundation.clone())
            );
            let mut written = Vec::new();
            let mut copy = MessageBuilder::new(
                &mut written,
                linkspan_stun::Dialect::MsIce1,
                message.class(),
                Method::Binding,
                message.transaction_id(),
            );
            if let Some(mapped) = message.xor_mapped_address() {
                copy.xor_mapped_address(mapped);
            }
            copy.username(&username(&remote, &local)).sign(&key);
            copy.finish().unwrap();
            assert_eq!(written, octets);
            count += 1;
        }
        assert_eq!(count, 8);
    }

    #[test]
    fn names_of_others_are_refused() {
        let candidate = |user: &str| {
            let at = "192.0.2.1:1".parse().unwrap();
            Candidate::host(user, 1, at, 830)
        };
        let (a, b) = (BASE64.encode([1; 32]), BASE64.encode([b':'; 32]));
        let name = username(&candidate(&a), &candidate(&b));
        assert_eq!(sender(&candidate(&a), &name), Some(b.clone()));
        assert_eq!(sender(&candidate(&b), &name), None);
        let learnt = candidate(&joined(&a, &b));
        assert_eq!(sender(&candidate(&a), &username(&learnt, &candidate(&b))), Some(b));
        for broken in [&name[1..], &name[..name.len() - 1], &name[..33], b"", b":1"] {
            assert_eq!(sender(&candidate(&a), broken), None);
        }
    }
}
