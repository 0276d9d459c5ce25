// The subscriber of the examples, told of one order, which `query.graph` answers as Medusa's does.

import tellEcrm from "./medusa-subscriber.mjs";

const payment = { captures: [], refunds: [] };
const order = {
  id: "order_1", display_id: 1001, email: "ada@shop.example.com", currency_code: "jpy", status: "pending",
  updated_at: new Date("2026-03-14T08:00:00Z"), total: 6900, shipping_total: 500, tax_total: 627, discount_total: 100,
  items: [{ id: "item_1", variant_sku: "R-60", title: "Rope", quantity: 2, unit_price: 3250 }],
  payment_collections: [{ payments: [payment] }],
};
const answers = { order, payment: { payment_collection: { order: { id: order.id } } } };
const query = { graph: async ({ entity }) => ({ data: [answers[entity]] }) };
const tell = (name, data) => tellEcrm({ event: { name, data }, container: { resolve: () => query } });

await tell("order.placed", { id: order.id });
payment.captures.push({ amount: 6900 });
await tell("payment.captured", { id: "pay_1" });
payment.refunds.push({ id: "ref_1", amount: 900, created_at: new Date("2026-03-14T09:00:00Z") });
await tell("payment.refunded", { id: "pay_1" });
order.status = "completed";
await tell("order.completed", [{ id: order.id }]);
console.log("done");
