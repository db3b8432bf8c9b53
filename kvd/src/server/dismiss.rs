//! Users have changed: connections of those who are gone are closed, and of those who may not listen any more to what
//! they listen to.

use std::collections::HashMap;
use std::sync::Arc;

use super::Server;
use crate::acl::User;
use crate::session::registry::Client;

/// Closes them. Whether one of them is `me`, which is left to its own task.
pub fn dismiss(server: &Server, me: u64) -> bool {
    let mut dismissed: Vec<Arc<Client>> = Vec::new();
    let mut listeners: HashMap<u64, (Arc<Client>, Arc<User>)> = HashMap::new();
    for client in server.registry.all() {
        match server.users.find(&client.user()) {
            None => dismissed.push(client),
            Some(user) if client.is_subscriber() && !user.is_unrestricted() => {
                listeners.insert(client.id, (client, user));
            }
            Some(_) => {}
        }
    }
    if !listeners.is_empty() {
        server.pubsub.each(|kind, name, id| {
            if listeners.get(&id).is_some_and(|(_, user)| !user.may_listen(kind, name)) {
                dismissed.extend(listeners.remove(&id).map(|(client, _)| client));
            }
        });
    }
    let mut is_dismissed = false;
    for client in dismissed {
        match client.id == me {
            true => is_dismissed = true,
            false => server.kill(&client),
        }
    }
    is_dismissed
}
