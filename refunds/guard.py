"""The guard's part for refunds: what an order counts as given back or promised is what its refund legs say."""

from django.db.migrations import RunSQL

CHECK_REFUNDS = RunSQL(
    sql="""
CREATE FUNCTION flint_check_refunds(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    legs record;
    payments record;
    allocated record;
    parts record;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT COALESCE(SUM(amount) FILTER (WHERE status = 'succeeded'), 0)::bigint AS refunded,
           COALESCE(SUM(amount) FILTER (WHERE status IN ('pending', 'requires_action')), 0)::bigint AS pending,
           COALESCE(SUM(tip_amount) FILTER (WHERE status = 'succeeded'), 0)::bigint AS tip
        INTO legs FROM refunds_refundleg WHERE order_id = checked;
    SELECT COALESCE(SUM(refunded_amount), 0)::bigint AS refunded,
           COALESCE(SUM(refund_pending_amount), 0)::bigint AS pending
        INTO payments FROM payments_paymentintent WHERE order_id = checked;
    PERFORM flint_refuse(checked, 'order_refunded_is_its_refunds', o.refunded_amount, legs.refunded);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_its_refunds', o.refund_pending_amount, legs.pending);
    PERFORM flint_refuse(checked, 'order_tip_refunded_is_its_refunds', o.tip_refunded_amount, legs.tip);
    PERFORM flint_refuse(checked, 'order_refunded_is_its_payments', o.refunded_amount, payments.refunded);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_its_payments', o.refund_pending_amount, payments.pending);

    -- What went back of lines, charges and flat taxes is what their allocations say.
    SELECT COALESCE(SUM(a.amount) FILTER (WHERE g.status = 'succeeded'), 0)::bigint AS refunded,
           COALESCE(SUM(a.amount) FILTER (WHERE g.status IN ('pending', 'requires_action')), 0)::bigint AS pending,
           COALESCE(SUM(a.quantity) FILTER (WHERE g.status = 'succeeded'), 0)::bigint AS units
        INTO allocated
        FROM refunds_refundallocation a JOIN refunds_refundleg g ON g.id = a.leg_id
        WHERE a.order_id = checked AND NOT g.is_correction
          AND COALESCE(a.line_item_id, a.charge_id, a.tax_breakdown_id) IS NOT NULL;
    SELECT COALESCE(SUM(refunded), 0)::bigint AS refunded, COALESCE(SUM(pending), 0)::bigint AS pending,
           COALESCE(SUM(units), 0)::bigint AS units
        INTO parts
        FROM (
            SELECT refunded_amount AS refunded, refund_pending_amount AS pending, refunded_quantity AS units
                FROM orders_lineitem WHERE order_id = checked
            UNION ALL
            SELECT refunded_amount, refund_pending_amount, 0 FROM orders_charge WHERE order_id = checked
            UNION ALL
            SELECT refunded_amount, refund_pending_amount, 0 FROM orders_taxbreakdown WHERE order_id = checked
        ) every_part;
    PERFORM flint_refuse(checked, 'parts_refunded_are_their_allocations', parts.refunded, allocated.refunded);
    PERFORM flint_refuse(checked, 'parts_refund_pending_are_their_allocations', parts.pending, allocated.pending);
    PERFORM flint_refuse(checked, 'lines_units_refunded_are_their_allocations', parts.units, allocated.units);
END $$;

CREATE FUNCTION flint_check_refunds_of_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_refunds(to_jsonb(NEW) ->> TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER order_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount, tip_refunded_amount ON orders_order
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('id');
CREATE CONSTRAINT TRIGGER payment_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON payments_paymentintent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER line_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount, refunded_quantity ON orders_lineitem
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER charge_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON orders_charge
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER tax_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON orders_taxbreakdown
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
""",
    reverse_sql="""
DROP TRIGGER order_is_checked_with_its_refunds ON orders_order;
DROP TRIGGER payment_is_checked_with_its_refunds ON payments_paymentintent;
DROP TRIGGER line_is_checked_with_its_refunds ON orders_lineitem;
DROP TRIGGER charge_is_checked_with_its_refunds ON orders_charge;
DROP TRIGGER tax_is_checked_with_its_refunds ON orders_taxbreakdown;
DROP FUNCTION flint_check_refunds_of_row;
DROP FUNCTION flint_check_refunds;
""",
)
