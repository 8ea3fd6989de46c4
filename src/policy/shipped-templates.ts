// The names of templates that are always there: the product's own lock notice, and none at all.

/** What `lock.template` of a sender may name without a [[template]]. A [[template]] of the first name replaces its text. */
export const SHIPPED_TEMPLATES: readonly string[] = ["lock-notice", "none"];
