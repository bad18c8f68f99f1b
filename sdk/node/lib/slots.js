"use strict";
// What the 10 bytes of a socket or a session stand for here: slot u32, generation u32, shard u16 (§2).

/** Slots below this live in arrays without holes; what lies above (which no gateway of today has) in a Map. */
const DENSE_MAX = 1 << 22;

/**
 * From `(slot, generation, shard)` to the value that was set for it. Values carry `slot`, `generation` and `shard` of their own.
 *
 * A slot is used again with another generation: whoever asks with an older one gets `undefined`.
 */
class Slots {
  constructor() {
    this.clear();
  }

  clear() {
    /** One array per shard, indexed by slot. */
    this.shards = [];
    this.sparse = new Map();
    this.size = 0;
  }

  get(slot, generation, shard) {
    const dense = this.shards[shard];
    const value =
      slot < DENSE_MAX
        ? dense !== undefined && slot < dense.length
          ? dense[slot]
          : undefined
        : this.sparse.get(shard * 0x100000000 + slot);
    return value !== undefined && value.generation === generation ? value : undefined;
  }

  /** Takes the place of whatever had the slot before, whose key is void now. */
  set(value) {
    const { slot, shard } = value;
    if (slot >= DENSE_MAX) {
      const key = shard * 0x100000000 + slot;
      if (!this.sparse.has(key)) this.size++;
      this.sparse.set(key, value);
      return;
    }
    while (this.shards.length <= shard) this.shards.push([]);
    const dense = this.shards[shard];
    // Pushed one by one, the array keeps its fast kind of elements.
    while (dense.length <= slot) dense.push(undefined);
    if (dense[slot] === undefined) this.size++;
    dense[slot] = value;
  }

  /** Forgets `value`, unless its slot belongs to another by now. */
  delete(value) {
    if (this.get(value.slot, value.generation, value.shard) !== value) return false;
    if (value.slot < DENSE_MAX) this.shards[value.shard][value.slot] = undefined;
    else this.sparse.delete(value.shard * 0x100000000 + value.slot);
    this.size--;
    return true;
  }

  *values() {
    for (const dense of this.shards) for (const value of dense) if (value !== undefined) yield value;
    yield* this.sparse.values();
  }
}

module.exports = { Slots };
