//! The memory that the kernel holds for connections, from what it says about its caches.
//!
//! Over loopback both ends of a connection are in the same kernel. What both have alike (socket, file, inode, entry, labels of
//! the security module) is halved. The poll of io_uring is the gateway's alone; ports and epoll entries are the load
//! generator's alone. Everything is counted by name, not as the growth of `Slab:`, because that is everybody's: whoever
//! lists `/proc/PID/fd`, as monitoring does, has the kernel make an inode and an entry for each descriptor.

use rustix::param::page_size;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::{fs, io};

/// Sockets of others that came or went, for each connection, with which a number still means something.
const STRANGERS_MAX: f64 = 0.1;

/// One object of the kernel's, as `/proc/slabinfo` counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cache {
    objects: u64,
    /// Its share of the pages it lies in.
    bytes_each: f64,
}

/// What the kernel holds at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// `Slab:` of `/proc/meminfo`, bytes.
    slab_bytes: u64,
    /// Pages of TCP buffers.
    buffer_pages: u64,
    caches: BTreeMap<String, Cache>,
}

/// Per client, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    /// TCP sockets.
    sockets: f64,
    /// Files, inodes and entries of those, and their labels.
    files: f64,
    /// Polls of io_uring.
    polls: f64,
    /// What waits in either direction.
    buffers: f64,
    /// Sockets of both ends.
    ends: f64,
}

impl Share {
    /// There are as many sockets more as there should be: nobody else has opened or closed many meanwhile.
    fn is_undisturbed(&self, connections_each: u32) -> bool {
        (self.ends / f64::from(connections_each) - 2.0).abs() < STRANGERS_MAX
    }
}

impl Memory {
    pub(super) fn now() -> io::Result<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let sockstat = fs::read_to_string("/proc/net/sockstat")?;
        // For root only. Without it there is no number, and the table has a dash.
        let slabinfo = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
        Ok(Self {
            slab_bytes: parse_slab(&meminfo).unwrap_or(0),
            buffer_pages: parse_buffer_pages(&sockstat).unwrap_or(0),
            caches: slabinfo.lines().filter_map(|line| parse_cache(line, page_size())).collect(),
        })
    }

    /// What so many clients have made it grow by, for the report. Without a share of the gateway's if that cannot be told.
    pub(super) fn growth(&self, before: &Self, clients: u32, connections_each: u32) -> Value {
        let slab = self.slab_bytes as f64 - before.slab_bytes as f64;
        let slab = slab / f64::from(clients);
        let share = self.share(before, clients).filter(|share| share.is_undisturbed(connections_each));
        let Some(share) = share else {
            return json!({ "slab_bytes_per_client": slab });
        };
        json!({
            "gateway_bytes_per_client": share.sockets + share.files + share.polls + share.buffers,
            "socket_bytes": share.sockets,
            "file_bytes": share.files,
            "poll_bytes": share.polls,
            "buffer_bytes": share.buffers,
            // Both ends, and whatever else went on.
            "slab_bytes_per_client": slab,
        })
    }

    /// `None` where the caches cannot be seen.
    fn share(&self, before: &Self, clients: u32) -> Option<Share> {
        let each = |name: &str| self.caches.get(name).map_or(0.0, |cache| cache.bytes_each);
        let more = |name: &str| {
            let then = before.caches.get(name).map_or(0, |cache| cache.objects);
            let now = self.caches.get(name).map_or(0, |cache| cache.objects);
            (now as f64 - then as f64).max(0.0) / f64::from(clients)
        };
        self.caches.get("TCP")?;
        // Every socket's inode has one entry and one label, which many others have, too: so they are not counted.
        let inode = each("sock_inode_cache") + each("dentry") + each("lsm_inode_cache");
        let file = each("filp") + each("lsm_file_cache");
        let pages = self.buffer_pages as f64 - before.buffer_pages as f64;
        let buffers = pages.max(0.0) * page_size() as f64 / f64::from(clients);
        Some(Share {
            sockets: more("TCP") * each("TCP") / 2.0,
            files: (more("sock_inode_cache") * inode + more("filp") * file) / 2.0,
            polls: more("io_kiocb") * each("io_kiocb"),
            buffers: buffers / 2.0,
            ends: more("TCP"),
        })
    }
}

fn parse_slab(meminfo: &str) -> Option<u64> {
    let kib: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Slab:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// The last word of `TCP: inuse 1 … mem 79`.
fn parse_buffer_pages(sockstat: &str) -> Option<u64> {
    sockstat.lines().find(|line| line.starts_with("TCP:"))?.rsplit(' ').next()?.parse().ok()
}

/// `name active_objs num_objs objsize objperslab pagesperslab : …`
fn parse_cache(line: &str, page_bytes: usize) -> Option<(String, Cache)> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (objects, _all, _size) = (number()?, number()?, number()?);
    let (objects_per_slab, pages_per_slab) = (number()?, number()?);
    let bytes_each = (pages_per_slab * page_bytes as u64) as f64 / objects_per_slab.max(1) as f64;
    Some((name, Cache { objects, bytes_each }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "TCP 53 104 2368 13 8 : tunables 0 0 0 : slabdata 8 8 0";

    fn memory(sockets: u64, inodes: u64, polls: u64, buffer_pages: u64) -> Memory {
        let cache = |objects, bytes_each| Cache { objects, bytes_each };
        let caches = [
            ("TCP", cache(sockets, 2500.0)),
            ("sock_inode_cache", cache(inodes, 800.0)),
            ("dentry", cache(1_000_000, 200.0)),
            ("filp", cache(inodes, 200.0)),
            ("io_kiocb", cache(polls, 256.0)),
        ];
        let caches = caches.into_iter().map(|(name, cache)| (name.to_owned(), cache)).collect();
        Memory { slab_bytes: 0, buffer_pages, caches }
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        let (name, cache) = parse_cache(LINE, 4096).unwrap();
        assert_eq!((name.as_str(), cache.objects), ("TCP", 53));
        assert!((cache.bytes_each - 8.0 * 4096.0 / 13.0).abs() < 0.1);
        assert_eq!(parse_cache("# name <active_objs>", 4096), None);
        assert_eq!(parse_slab("MemFree: 1 kB\nSlab:   625228 kB\n"), Some(625_228 << 10));
        assert_eq!(parse_buffer_pages("sockets: used 41\nTCP: inuse 1 orphan 0 mem 228\n"), Some(228));
    }

    #[test]
    fn what_both_ends_have_is_halved_and_the_poll_is_ours() {
        let share = memory(2010, 2020, 1000, 8).share(&memory(10, 20, 0, 8), 1000).unwrap();
        assert_eq!(share, Share { sockets: 2500.0, files: 1200.0, polls: 256.0, buffers: 0.0, ends: 2.0 });
    }

    #[test]
    fn strangers_spoil_the_number() {
        let growth = |sockets| memory(sockets, 2000, 1000, 0).growth(&memory(0, 0, 0, 0), 1000, 1);
        assert!(growth(2050)["gateway_bytes_per_client"].is_number());
        assert!(growth(2200)["gateway_bytes_per_client"].is_null());
    }

    #[test]
    fn without_the_caches_there_is_no_number() {
        assert_eq!(Memory::default().share(&Memory::default(), 1000), None);
    }
}
