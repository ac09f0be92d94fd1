use std::collections::HashMap;

use crate::entity::Entity;
use crate::info::{ConferenceInfo, ConferenceView, EntityView, State, Users};
use crate::user::{Endpoint, User};

impl ConferenceInfo {
    /// The partial notification that leads from this state to `new`; `None` when only full state
    /// can say it, because something was taken away that no partial document can name.
    ///
    /// Both are plain full documents, as [`Conference::info`](crate::Conference::info) gives them.
    /// The version is left to the caller, who counts one for each subscription.
    ///
    /// ```
    /// use linkspan_c3p::{Conference, ConferenceInfo, Limits, User};
    ///
    /// let old = ConferenceInfo { entity: "sip:a@x".into(), ..ConferenceInfo::default() };
    /// let mut new = old.clone();
    /// new.users.get_or_insert_default().list.push(User::new("sip:b@x"));
    /// let partial = old.diff(&new).unwrap();
    ///
    /// let mut conference = Conference::new(None, Limits::default());
    /// conference.apply(old)?;
    /// conference.apply(partial)?;
    /// assert_eq!(conference.info(), &new);
    /// # Ok::<(), linkspan_c3p::MergeError>(())
    /// ```
    #[must_use]
    pub fn diff(&self, new: &Self) -> Option<Self> {
        let is_lost = (self.description.is_some() && new.description.is_none())
            || (self.host_info.is_some() && new.host_info.is_none())
            || (self.conference_state.is_some() && new.conference_state.is_none())
            || (self.sidebars_by_ref.is_some() && new.sidebars_by_ref.is_none())
            || (self.sidebars_by_val.is_some() && new.sidebars_by_val.is_none())
            || (self.users.is_some() && new.users.is_none())
            || (self.view.is_some() && new.view.is_none());
        if is_lost || self.entity != new.entity || self.extensions != new.extensions {
            return None;
        }
        let users = match (&self.users, &new.users) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(diff_users(old, new)?),
            (None, new) => new.clone(),
            (Some(_), None) => return None,
        };
        let view = match (&self.view, &new.view) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(diff_view(old, new)?),
            (_, new) => new.clone(),
        };
        Some(Self {
            entity: new.entity.clone(),
            state: Some(State::Partial),
            version: None,
            description: changed(&self.description, &new.description),
            host_info: changed(&self.host_info, &new.host_info),
            conference_state: changed(&self.conference_state, &new.conference_state),
            users,
            sidebars_by_ref: changed(&self.sidebars_by_ref, &new.sidebars_by_ref),
            sidebars_by_val: changed(&self.sidebars_by_val, &new.sidebars_by_val),
            view,
            extensions: crate::Extensions::default(),
        })
    }
}

fn diff_users(old: &Users, new: &Users) -> Option<Users> {
    if old.extensions != new.extensions {
        return None;
    }
    let old_keys = old.list.iter().map(|user| &user.entity);
    let new_keys = new.list.iter().map(|user| &user.entity);
    is_in_order(old_keys, new_keys).then_some(())?;
    let known: HashMap<&Entity, &User> = old.list.iter().map(|user| (&user.entity, user)).collect();
    let present: HashMap<&Entity, &User> =
        new.list.iter().map(|user| (&user.entity, user)).collect();
    let mut list = Vec::new();
    for user in &old.list {
        if !present.contains_key(&user.entity) {
            list.push(User { state: Some(State::Deleted), ..User::new(&user.entity) });
        }
    }
    for user in &new.list {
        match known.get(&user.entity) {
            Some(old) if *old == user => {}
            Some(old) => list.push(diff_user(old, user)),
            None => list.push(User { state: Some(State::Full), ..user.clone() }),
        }
    }
    Some(Users { state: Some(State::Partial), list, extensions: crate::Extensions::default() })
}

/// The change of a user, as a partial element where that says it all.
fn diff_user(old: &User, new: &User) -> User {
    let full = || User { state: Some(State::Full), ..new.clone() };
    let is_lost = (old.display_text.is_some() && new.display_text.is_none())
        || (old.associated_aors.is_some() && new.associated_aors.is_none())
        || (old.roles.is_some() && new.roles.is_none())
        || (old.languages.is_some() && new.languages.is_none())
        || (old.cascaded_focus.is_some() && new.cascaded_focus.is_none());
    let old_keys = old.endpoints.iter().map(|endpoint| &endpoint.entity);
    let new_keys = new.endpoints.iter().map(|endpoint| &endpoint.entity);
    // What a merge replaces keeps the case in which it was first written: only all of it, anew,
    // brings another.
    let is_same_key = old.entity.as_str() == new.entity.as_str();
    if is_lost
        || !is_same_key
        || old.extensions != new.extensions
        || !is_in_order(old_keys, new_keys)
    {
        return full();
    }
    let mut endpoints = Vec::new();
    for endpoint in &old.endpoints {
        if new.endpoint(&endpoint.entity).is_none() {
            endpoints.push(Endpoint {
                entity: endpoint.entity.clone(),
                state: Some(State::Deleted),
                ..Endpoint::default()
            });
        }
    }
    for endpoint in &new.endpoints {
        match old.endpoint(&endpoint.entity) {
            Some(old) if old == endpoint => {}
            Some(old) => endpoints.push(diff_endpoint(old, endpoint)),
            None => endpoints.push(Endpoint { state: Some(State::Full), ..endpoint.clone() }),
        }
    }
    User {
        entity: new.entity.clone(),
        state: Some(State::Partial),
        display_text: changed(&old.display_text, &new.display_text),
        associated_aors: changed(&old.associated_aors, &new.associated_aors),
        roles: changed(&old.roles, &new.roles),
        languages: changed(&old.languages, &new.languages),
        cascaded_focus: changed(&old.cascaded_focus, &new.cascaded_focus),
        endpoints,
        extensions: crate::Extensions::default(),
    }
}

/// Only streams are told one by one: any other change, or a stream that is gone, takes the whole
/// endpoint.
fn diff_endpoint(old: &Endpoint, new: &Endpoint) -> Endpoint {
    let bare = |endpoint: &Endpoint| Endpoint { media: Vec::new(), ..endpoint.clone() };
    let old_keys = old.media.iter().map(|media| &media.id);
    let new_keys = new.media.iter().map(|media| &media.id);
    let is_gone = old.media.iter().any(|media| new.stream(&media.id).is_none());
    if is_gone || bare(old) != bare(new) || !is_in_order(old_keys, new_keys) {
        return Endpoint { state: Some(State::Full), ..new.clone() };
    }
    let changed = new.media.iter().filter(|media| old.stream(&media.id) != Some(*media));
    Endpoint {
        entity: new.entity.clone(),
        state: Some(State::Partial),
        session_type: new.session_type.clone(),
        media: changed.cloned().collect(),
        ..Endpoint::default()
    }
}

fn diff_view(old: &ConferenceView, new: &ConferenceView) -> Option<ConferenceView> {
    let old_keys = old.views.iter().map(|view| &view.entity);
    let new_keys = new.views.iter().map(|view| &view.entity);
    (old.extensions == new.extensions && is_in_order(old_keys, new_keys)).then_some(())?;
    let mut views = Vec::new();
    for view in &old.views {
        if new.view(&view.entity).is_none() {
            views.push(EntityView {
                entity: view.entity.clone(),
                state: Some(State::Deleted),
                extensions: crate::Extensions::default(),
            });
        }
    }
    for view in &new.views {
        if old.view(&view.entity) != Some(view) {
            views.push(EntityView { state: Some(State::Full), ..view.clone() });
        }
    }
    let state = Some(State::Partial);
    Some(ConferenceView { state, views, extensions: crate::Extensions::default() })
}

fn changed<T: Clone + PartialEq>(old: &Option<T>, new: &Option<T>) -> Option<T> {
    if old == new { None } else { new.clone() }
}

/// True when those of the new members that are old come first, in their old order: what a merge
/// leads to.
fn is_in_order<'k, K: Eq + std::hash::Hash + 'k>(
    old: impl Iterator<Item = &'k K>,
    new: impl Iterator<Item = &'k K>,
) -> bool {
    let places: HashMap<&K, usize> = old.enumerate().map(|(place, key)| (key, place)).collect();
    let mut last = None;
    let mut is_new = false;
    for key in new {
        match places.get(key) {
            Some(_) if is_new => return false,
            Some(place) if last.is_some_and(|last| last > *place) => return false,
            Some(place) => last = Some(*place),
            None => is_new = true,
        }
    }
    true
}
