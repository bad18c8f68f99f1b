//! Links come, want to go, and go; and what becomes of their sockets.

use super::Backends;
use super::directory::{LinkId, Standing, share};
use super::encoded;
use super::message::{Message, News, Said};
use super::outbound::Outbound;
use super::sockets::Stage;
use super::wire::ToBackend;
use crate::arena::Key;
use crate::id::ShardIndex;
use crate::shard::Io;
use crate::shard::app::SocketKey;
use std::collections::BTreeMap;

impl Backends {
    /// Tells every shard, this one first.
    pub(super) fn announce(&mut self, io: &mut Io<'_>, id: LinkId, news: &News) {
        for shard in (0..io.shards()).map(ShardIndex).filter(|shard| *shard != self.here) {
            io.tell(shard, Box::new(Message::News(id, news.clone())));
        }
        self.learn(io, id, news.clone());
    }

    /// Something has happened to a link.
    pub(super) fn learn(&mut self, io: &mut Io<'_>, id: LinkId, news: News) {
        if let News::Greeted { load, window } = news {
            let out =
                Outbound::new(share(&self.options, window, io.shards()), !self.options.redeliver.is_empty());
            self.links.add(id, load, out);
            return;
        }
        let Some(key) = self.links.find(id) else { return };
        let ready = self.links.ready().count();
        match news {
            News::Greeted { .. } => {}
            News::Serves { dynamic, names } => {
                self.links.serve(key, dynamic, &names);
                self.find_backends(io);
            }
            News::Withdraws(names) => {
                self.links.withdraw(key, &names);
                // Who waits for it may have nobody to wait for.
                self.find_backends(io);
            }
            News::Drains => self.link_drains(io, key),
            News::Gone => self.link_gone(io, id),
        }
        if self.links.ready().count() != ready {
            self.report_peers(io);
        }
    }

    /// A link wants to go: its sockets are handed over.
    fn link_drains(&mut self, io: &mut Io<'_>, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        if std::mem::replace(&mut link.standing, Standing::Draining) == Standing::Draining {
            return;
        }
        link.out.forget_stalled_sockets();
        for socket in self.sockets.of_link(key, self.here) {
            let Some(served) = self.sockets.get_mut(socket) else { continue };
            served.stage = Stage::Leaving(key);
            served.is_stalled = false;
            // Events that are held go to the next one; what it has asked for itself is for nobody else.
            let mut frames = served.held.take_answers();
            self.held_bytes -= frames.len();
            if served.ends_hold() {
                io.release_input(socket);
            }
            encoded::append(&ToBackend::Handover(socket), &mut frames);
            self.send_frames(io, key, frames);
        }
        self.report_released(io, key);
    }

    /// A link has gone. Its sockets find another, or wait for one; their clients do not notice.
    fn link_gone(&mut self, io: &mut Io<'_>, id: LinkId) {
        let now = io.now();
        let Some((key, mut link)) = self.links.remove(id, now, now + self.options.hold) else { return };
        self.held_bytes -= link.out.stalled_bytes();
        self.take_back(link.out.salvage(), key);
        for socket in self.sockets.of_link(key, self.here) {
            let Some(served) = self.sockets.get_mut(socket) else { continue };
            // Answers to the one that has gone.
            self.held_bytes -= served.held.take_answers().len();
            if served.ends_hold() {
                io.release_input(socket);
            }
            let patience = if served.is_joined { self.options.hold } else { self.connect_timeout };
            self.wait(io, socket, now + patience);
        }
        self.forget_asks(io, id);
        self.find_backends(io);
    }

    /// Holds events again that a link had been sent or was about to be, before what is held for those sockets.
    fn take_back(&mut self, events: Vec<(SocketKey, Box<[u8]>, bool)>, link: Key) {
        let mut by_socket: BTreeMap<SocketKey, Vec<u8>> = BTreeMap::new();
        for (socket, mut frame, was_sent) in events {
            let is_its_own = |served: &super::sockets::Served| served.stage.link() == Some(link);
            if !self.sockets.get(socket).is_some_and(is_its_own) {
                continue;
            }
            if was_sent {
                encoded::mark_redelivered(&mut frame);
                self.stats.redelivered_total += 1;
            }
            by_socket.entry(socket).or_default().extend_from_slice(&frame);
        }
        for (socket, frames) in by_socket {
            if let Some(served) = self.sockets.get_mut(socket) {
                self.held_bytes += frames.len();
                served.held.put_back(frames);
            }
        }
    }

    /// Tells a leaving link's home when this shard has none of its sockets any more, nor anything to say to it.
    pub(super) fn report_released(&mut self, io: &mut Io<'_>, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        let is_done = link.sockets == 0 && !link.out.has_stalled();
        if link.standing != Standing::Draining || !is_done || link.is_released {
            return;
        }
        link.is_released = true;
        let id = link.id;
        // What it still has to be told goes first.
        self.flush_link(io, key);
        self.tell(io, id.home, Message::Released(id));
    }

    /// Has a message handled by a shard: at once if it is this one.
    pub(super) fn tell(&mut self, io: &mut Io<'_>, shard: ShardIndex, message: Message) {
        if shard == self.here {
            self.hear(io, shard, message);
        } else {
            io.tell(shard, Box::new(message));
        }
    }

    /// A message from another shard, or from this one.
    pub(super) fn hear(&mut self, io: &mut Io<'_>, from: ShardIndex, message: Message) {
        match message {
            Message::News(id, news) => self.learn(io, id, news),
            Message::Said(id, socket, Said::Accept) => {
                self.said(io, id, socket, Said::Accept);
                io.has_let_in(from);
            }
            Message::Said(id, socket, said) => self.said(io, id, socket, said),
            Message::Ask(socket, asking) => self.ask_client(io, socket, &asking),
            Message::Batch(id, bytes, counted) => self.forward(io, id, from, bytes, counted),
            Message::Credit(id, bytes) => {
                if let Some(key) = self.links.find(id)
                    && let Some(link) = self.links.get_mut(key)
                {
                    link.out.add_credit(bytes);
                    self.resume(io, key);
                }
            }
            Message::Released(id) => self.shard_released(io, id, from),
            Message::ServerEvent { link, namespace, json, asker } => {
                self.deliver_server_event(io, link, &namespace, &json, asker);
            }
            Message::ServerAnswer(question, answer) => self.server_answered(io, question, answer),
        }
    }
}
