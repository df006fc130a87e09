// The examples that an empty installation offers. They need no settings, and call nothing outside of it.
import largeOrder from "../../../../examples/large_order.json";
import largeOrderInput from "../../../../examples/large_order.input.json";
import type { Json, JsonObject } from "../../data/types";

export interface Example {
  definition: JsonObject;
  input: Json;
  /** What it shows. */
  teaches: string;
}

const APPROVAL: JsonObject = {
  id: "purchase_approval",
  name: "Purchase approval",
  description: "Asks a person about every purchase of 100 or more, and waits for the answer for two days.",
  trigger: { type: "manual" },
  settings: {
    input_schema: {
      type: "object",
      required: ["item", "amount"],
      properties: { item: { type: "string", title: "Item" }, amount: { type: "number", title: "Amount" } },
    },
  },
  nodes: [
    {
      id: "is_small",
      type: "condition",
      name: "Less than 100?",
      condition: { field: "input.amount", operator: "less_than", value: 100 },
      true_branch: ["buy"],
      false_branch: ["decision"],
    },
    {
      id: "decision",
      type: "wait",
      name: "Wait for the decision",
      config: {
        event: "purchase.decided",
        timeout_seconds: 172800,
        schema: {
          type: "object",
          required: ["approved"],
          properties: {
            approved: { type: "boolean", title: "Approve the purchase" },
            comment: { type: "string", title: "Comment" },
          },
        },
      },
    },
    {
      id: "is_approved",
      type: "condition",
      name: "Approved?",
      condition: { field: "steps.decision.output.payload.approved", operator: "equals", value: true },
      true_branch: ["buy"],
      false_branch: ["declined"],
    },
    { id: "buy", type: "action", name: "Order it", action: "log.message", config: { message: "Order {{ input.item }}" } },
    { id: "bought", type: "end", name: "Bought", config: { output: { bought: "{{ input.item }}" } } },
    { id: "declined", type: "end", name: "Declined", config: { output: { bought: null } } },
  ],
  edges: [
    { source: "trigger", target: "is_small" },
    { source: "decision", target: "is_approved" },
    { source: "decision", target: "declined", condition: "timeout" },
    { source: "buy", target: "bought" },
  ],
};

const LINES: JsonObject = {
  id: "order_lines",
  name: "Order lines",
  description: "Goes through the lines of an order, three at a time, and adds up what is in stock.",
  trigger: { type: "manual" },
  nodes: [
    {
      id: "each",
      type: "loop",
      name: "Each line",
      collection: "{{ input.lines }}",
      item_variable: "line",
      body: ["in_stock"],
      config: { max_concurrency: 3, collect: "{{ line.quantity }}" },
    },
    {
      id: "in_stock",
      type: "condition",
      name: "In stock?",
      condition: { field: "line.stock", operator: "greater_than_or_equals", value: "{{ line.quantity }}" },
      true_branch: ["reserve"],
      false_branch: ["order_more"],
    },
    { id: "reserve", type: "action", name: "Reserve", action: "log.message", config: { message: "Reserve {{ line.sku }}" } },
    { id: "order_more", type: "action", name: "Order more", action: "log.message", config: { message: "Order {{ line.sku }}" } },
    { id: "done", type: "end", name: "Done", config: { output: { lines: "{{ steps.each.output.count }}" } } },
  ],
  edges: [
    { source: "trigger", target: "each" },
    { source: "each", target: "done" },
  ],
};

export const EXAMPLES: Example[] = [
  { definition: APPROVAL, input: { item: "Label printer", amount: 640 }, teaches: "A person decides" },
  {
    definition: LINES,
    input: {
      lines: [
        { sku: "A-1", quantity: 2, stock: 14 },
        { sku: "B-2", quantity: 2, stock: 1 },
        { sku: "C-3", quantity: 1, stock: 7 },
      ],
    },
    teaches: "A loop and a fork",
  },
  { definition: largeOrder as unknown as JsonObject, input: largeOrderInput as Json, teaches: "Started by an event" },
];
