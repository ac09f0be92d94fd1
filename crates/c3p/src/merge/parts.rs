//! How each part of a document is merged (RFC 4575 §4.1): what has no key is replaced, what has
//! one is replaced, merged or removed as its state says.

use std::collections::HashMap;

use super::MergeError;
use crate::description::{ConfUris, Description};
use crate::info::{ConferenceInfo, ConferenceView, State};
use crate::user::{Endpoint, User};
use crate::xml::{Element, Extensions, Node};

impl ConferenceInfo {
    /// Makes it a plain full document: members marked deleted removed, of members that stand there
    /// twice the last kept, `state` attributes dropped.
    ///
    /// ```
    /// use linkspan_c3p::{ConferenceInfo, State, User, Users};
    ///
    /// let gone = User { state: Some(State::Deleted), ..User::new("sip:b@x") };
    /// let mut info = ConferenceInfo {
    ///     users: Some(Users { list: vec![User::new("sip:a@x"), gone], ..Users::default() }),
    ///     ..ConferenceInfo::default()
    /// };
    /// info.normalize();
    /// assert_eq!(info.users().len(), 1);
    /// ```
    pub fn normalize(&mut self) {
        self.state = None;
        if self.description.as_ref().is_some_and(|d| d.state == Some(State::Deleted)) {
            self.description = None;
        }
        if let Some(description) = &mut self.description {
            description.state = None;
            if let Some(uris) = &mut description.conf_uris {
                uris.normalize();
            }
        }
        if let Some(users) = &mut self.users {
            let deleted = users.state == Some(State::Deleted);
            users.state = None;
            users.list.retain(|user| !deleted && user.state != Some(State::Deleted));
            users.list.iter_mut().for_each(User::normalize);
            if !are_distinct(&users.list) {
                keep_last(&mut users.list, |user| &user.entity);
            }
        }
        if let Some(view) = &mut self.view {
            let deleted = view.state == Some(State::Deleted);
            view.state = None;
            view.views.retain(|view| !deleted && view.state != Some(State::Deleted));
            view.views.iter_mut().for_each(|view| view.state = None);
            keep_last(&mut view.views, |view| &view.entity);
        }
    }

    pub(super) fn clone_without_users(&mut self) -> Self {
        let users = self.users.take();
        let clone = self.clone();
        self.users = users;
        clone
    }
}

impl ConfUris {
    fn normalize(&mut self) {
        let deleted = self.state == Some(State::Deleted);
        self.state = None;
        self.entries.retain(|entry| !deleted && entry.state != Some(State::Deleted));
        self.entries.iter_mut().for_each(|entry| entry.state = None);
        keep_last(&mut self.entries, |entry| &entry.uri);
    }
}

impl User {
    pub(super) fn normalize(&mut self) {
        self.state = None;
        if self.endpoints.iter().any(|endpoint| endpoint.state == Some(State::Deleted)) {
            self.endpoints.retain(|endpoint| endpoint.state != Some(State::Deleted));
        }
        self.endpoints.iter_mut().for_each(Endpoint::normalize);
        keep_last(&mut self.endpoints, |endpoint| &endpoint.entity);
    }

    pub(super) fn merge(&mut self, new: Self, limit: usize) -> Result<(), MergeError> {
        replace_some(&mut self.display_text, new.display_text);
        replace_some(&mut self.associated_aors, new.associated_aors);
        replace_some(&mut self.roles, new.roles);
        replace_some(&mut self.languages, new.languages);
        replace_some(&mut self.cascaded_focus, new.cascaded_focus);
        for mut endpoint in new.endpoints {
            let at = self.endpoints.iter().position(|known| known.entity == endpoint.entity);
            let state = endpoint.state.unwrap_or_default();
            let is_full = self.endpoints.len() >= limit;
            match at.and_then(|at| self.endpoints.get_mut(at)) {
                Some(known) if state == State::Partial => known.merge(endpoint, limit)?,
                Some(known) if state == State::Full => {
                    endpoint.normalize();
                    *known = endpoint;
                }
                Some(_) => self.endpoints.retain(|known| known.entity != endpoint.entity),
                None if state == State::Deleted => {}
                None if is_full => {
                    return Err(MergeError::Limit("endpoints"));
                }
                None => {
                    endpoint.normalize();
                    self.endpoints.push(endpoint);
                }
            }
        }
        merge_extensions(&mut self.extensions, new.extensions, limit)
    }
}

impl Endpoint {
    fn normalize(&mut self) {
        self.state = None;
        keep_last(&mut self.media, |media| &media.id);
    }

    fn merge(&mut self, new: Self, limit: usize) -> Result<(), MergeError> {
        replace_some(&mut self.session_type, new.session_type);
        replace_some(&mut self.epid, new.epid);
        replace_some(&mut self.endpoint_uri, new.endpoint_uri);
        replace_some(&mut self.display_text, new.display_text);
        replace_some(&mut self.referred, new.referred);
        replace_some(&mut self.status, new.status);
        replace_some(&mut self.joining_method, new.joining_method);
        replace_some(&mut self.joining_info, new.joining_info);
        replace_some(&mut self.disconnection_method, new.disconnection_method);
        replace_some(&mut self.disconnection_info, new.disconnection_info);
        replace_some(&mut self.call_info, new.call_info);
        // Streams have no state of their own: replaced whole, those not mentioned stay.
        for media in new.media {
            let is_full = self.media.len() >= limit;
            match self.media.iter_mut().find(|known| known.id == media.id) {
                Some(known) => *known = media,
                None if is_full => return Err(MergeError::Limit("media")),
                None => self.media.push(media),
            }
        }
        merge_extensions(&mut self.extensions, new.extensions, limit)
    }
}

pub(super) fn merge_description(
    known: &mut Option<Description>,
    mut new: Description,
    limit: usize,
) -> Result<(), MergeError> {
    match (new.state.unwrap_or_default(), known) {
        (State::Deleted, known) => *known = None,
        (State::Partial, Some(known)) => {
            replace_some(&mut known.display_text, new.display_text);
            replace_some(&mut known.subject, new.subject);
            replace_some(&mut known.free_text, new.free_text);
            replace_some(&mut known.keywords, new.keywords);
            merge_uris(&mut known.conf_uris, new.conf_uris, limit)?;
            replace_some(&mut known.service_uris, new.service_uris);
            replace_some(&mut known.maximum_user_count, new.maximum_user_count);
            replace_some(&mut known.available_media, new.available_media);
            replace_some(&mut known.conference_id, new.conference_id);
            replace_some(&mut known.expiry_time, new.expiry_time);
            replace_some(&mut known.admission_policy, new.admission_policy);
            replace_some(&mut known.join_url, new.join_url);
            merge_extensions(&mut known.extensions, new.extensions, limit)?;
        }
        (_, known) => {
            let mut uris = known.as_mut().and_then(|known| known.conf_uris.take());
            let new_uris = new.conf_uris.take();
            if new_uris.as_ref().is_some_and(|uris| uris.state == Some(State::Partial)) {
                merge_uris(&mut uris, new_uris, limit)?;
                new.conf_uris = uris;
            } else {
                new.conf_uris = new_uris;
            }
            new.state = None;
            if let Some(uris) = &mut new.conf_uris {
                uris.normalize();
            }
            *known = Some(new);
        }
    }
    Ok(())
}

fn merge_uris(
    known: &mut Option<ConfUris>,
    new: Option<ConfUris>,
    limit: usize,
) -> Result<(), MergeError> {
    let Some(mut new) = new else { return Ok(()) };
    let Some(known) = known.as_mut().filter(|_| new.state == Some(State::Partial)) else {
        new.normalize();
        *known = Some(new);
        return Ok(());
    };
    for mut entry in new.entries {
        let state = entry.state.take().unwrap_or_default();
        let is_full = known.entries.len() >= limit;
        match known.entries.iter_mut().find(|other| other.uri == entry.uri) {
            Some(_) if state == State::Deleted => {
                known.entries.retain(|other| other.uri != entry.uri);
            }
            Some(other) => *other = entry,
            None if state == State::Deleted => {}
            None if is_full => return Err(MergeError::Limit("addresses")),
            None => known.entries.push(entry),
        }
    }
    merge_extensions(&mut known.extensions, new.extensions, limit)
}

pub(super) fn merge_view(
    known: &mut Option<ConferenceView>,
    mut new: ConferenceView,
    limit: usize,
) -> Result<(), MergeError> {
    let Some(known) = known.as_mut().filter(|_| new.state == Some(State::Partial)) else {
        let mut info = ConferenceInfo { view: Some(new), ..ConferenceInfo::default() };
        info.normalize();
        *known = info.view;
        return Ok(());
    };
    for mut view in std::mem::take(&mut new.views) {
        let state = view.state.take().unwrap_or_default();
        let is_full = known.views.len() >= limit;
        match known.views.iter_mut().find(|other| other.entity == view.entity) {
            Some(_) if state == State::Deleted => {
                known.views.retain(|other| other.entity != view.entity);
            }
            Some(other) if state == State::Partial => {
                merge_extensions(&mut other.extensions, view.extensions, limit)?;
            }
            Some(other) => *other = view,
            None if state == State::Deleted => {}
            None if is_full => return Err(MergeError::Limit("views")),
            None => known.views.push(view),
        }
    }
    merge_extensions(&mut known.extensions, new.extensions, limit)
}

/// Attributes and elements that came replace those of the same name and key.
pub(super) fn merge_extensions(
    known: &mut Extensions,
    mut new: Extensions,
    limit: usize,
) -> Result<(), MergeError> {
    if new.is_empty() {
        return Ok(());
    }
    for attribute in std::mem::take(new.attributes_mut()) {
        let attributes = known.attributes_mut();
        attributes.retain(|other| other.name != attribute.name);
        attributes.push(attribute);
    }
    merge_elements(known.elements_mut(), std::mem::take(new.elements_mut()), limit)?;
    if known.elements().len() > limit || known.attributes().len() > limit {
        return Err(MergeError::Limit("extensions"));
    }
    Ok(())
}

fn merge_elements(
    known: &mut Vec<Element>,
    new: Vec<Element>,
    limit: usize,
) -> Result<(), MergeError> {
    // What follows compares each with each.
    if known.len().max(new.len()) > limit {
        return Err(MergeError::Limit("elements"));
    }
    for mut element in new {
        let state = take_state(&mut element);
        let at = known.iter().position(|other| is_same(other, &element));
        match at.and_then(|at| known.get_mut(at)) {
            Some(other) if state == State::Partial => other.merge(element, limit)?,
            Some(other) if state == State::Full => *other = element,
            Some(_) => known.retain(|other| !is_same(other, &element)),
            None if state == State::Deleted => {}
            None => known.push(element),
        }
    }
    Ok(())
}

impl Element {
    fn merge(&mut self, new: Self, limit: usize) -> Result<(), MergeError> {
        for attribute in new.attributes {
            self.attributes.retain(|other| other.name != attribute.name);
            self.attributes.push(attribute);
        }
        let (mut elements, mut text) = (Vec::new(), Vec::new());
        for node in new.children {
            match node {
                Node::Element(element) => elements.push(element),
                Node::Text(_) => text.push(node),
            }
        }
        if elements.is_empty() {
            if !text.is_empty() {
                self.children = text;
            }
            return Ok(());
        }
        let known = std::mem::take(&mut self.children).into_iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        });
        let mut known: Vec<Self> = known.collect();
        merge_elements(&mut known, elements, limit)?;
        self.children = known.into_iter().map(Node::Element).collect();
        Ok(())
    }
}

/// Same name and same key, whichever of the customary key attributes it has.
fn is_same(a: &Element, b: &Element) -> bool {
    let key = |element: &'_ Element| {
        let keys = ["entity", "id", "label", "uri"];
        keys.iter().find_map(|key| element.attribute(key).map(str::to_ascii_lowercase))
    };
    a.name == b.name && key(a) == key(b)
}

fn take_state(element: &mut Element) -> State {
    let is_state = |name: &crate::Name| {
        let own =
            matches!(name.namespace, crate::Namespace::None | crate::Namespace::ConferenceInfo);
        name.local == "state" && own
    };
    let at = element.attributes.iter().position(|attribute| is_state(&attribute.name));
    let value = at.map(|at| element.attributes.remove(at).value);
    match value.as_deref() {
        Some("partial") => State::Partial,
        Some("deleted") => State::Deleted,
        _ => State::Full,
    }
}

pub(super) fn replace_some<T>(known: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *known = new;
    }
}

/// Of members with the same key the last stays, at the place of the first.
fn keep_last<T, K: Eq + std::hash::Hash + Clone>(list: &mut Vec<T>, key: impl Fn(&T) -> &K) {
    let twice =
        |(at, member): (usize, &T)| list.iter().take(at).any(|other| key(other) == key(member));
    if list.len() <= 8 && !list.iter().enumerate().any(twice) {
        return;
    }
    let mut places = HashMap::with_capacity(list.len());
    let mut kept: Vec<T> = Vec::with_capacity(list.len());
    for member in list.drain(..) {
        let at = *places.entry(key(&member).clone()).or_insert(kept.len());
        match kept.get_mut(at) {
            Some(first) => *first = member,
            None => kept.push(member),
        }
    }
    *list = kept;
}

/// True when no two users can be the same: what a hash tells.
fn are_distinct(users: &[User]) -> bool {
    let mut folds: Vec<u64> = users.iter().map(|user| user.entity.fold()).collect();
    folds.sort_unstable();
    folds.iter().zip(folds.iter().skip(1)).all(|(a, b)| a != b)
}
