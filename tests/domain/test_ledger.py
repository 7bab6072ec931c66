"""The ledger, told in stories written as ledgers; the oracle and the laws check each of them."""

from __future__ import annotations

from tests.domain.ledgers import check, found_in
from tests.domain.worlds import Run
from tests.oracle.stories import buy, market, sell
from tests.oracle.world import World


def test_a_sell_across_two_lots_closes_the_older_first():
    check("""
        had     100  0.40
        had      50  0.55
        sells   120  0.60
        closes  100  0.40  20.00
        closes   20  0.55   1.00
        keeps    30  0.55
        coverage 1
    """)


def test_a_lot_is_cut_cumulatively_so_that_no_micro_dollar_is_lost():
    check("""
        had     0.000003  0.333333
        sells   0.000001  0
        sells   0.000001  1
        sells   0.000001  1
        closes  0.000001  0.333333   0
        closes  0.000001  0.333333   0.000001
        closes  0.000001  0.333333   0
    """)


def test_fees_are_in_cost_and_proceeds_but_not_in_prices():
    check("""
        buys    10  0.50  fee 0.10
        sells   10  0.60  fee 0.20
        closes  10  0.50  0.70
        trip    0.70
    """)


def test_a_fee_that_the_amounts_contain_is_not_applied_again():
    check("""
        buys    10  0.50  inside 0.10
        sells   10  0.60  inside 0.20
        closes  10  0.50  1.00
    """)


def test_shares_that_no_earlier_lot_explains_earn_nothing_and_are_kept_apart():
    check("""
        had     100  0.40
        sells   150  0.60
        buys     10  0.50
        closes  100  0.40  20
        lacks    50  30
        keeps    10  0.50
        coverage 0.6666666666666666
    """)


def test_a_purchase_after_an_oversold_sale_does_not_explain_it():
    check("""
        sells   10  0.60
        buys    10  0.50
        lacks   10  6
        keeps   10  0.50
        coverage 0
    """)


def test_within_an_instant_acquisitions_come_before_disposals():
    check("""
        sells     10  0.60
        and buys  10  0.50
        closes    10  0.50  1
    """)


def test_within_an_instant_the_sequence_of_the_source_comes_before_that():
    check("""
        sells     10  0.60  seq 1
        and buys  10  0.50  seq 2
        lacks     10  6
        keeps     10  0.50
    """)


def test_what_the_source_has_not_numbered_comes_after_what_it_has():
    check("""
        sells     10  0.60  seq 9
        and buys  10  0.50
        and sells 10  0.70
        lacks     10  6
        closes    10  0.50  2
    """)


def test_time_comes_before_any_sequence():
    check("""
        buys    10  0.50  seq 2
        sells   10  0.60  seq 1
        closes  10  0.50  1
    """)


def test_lots_of_one_instant_are_consumed_by_transaction_then_price():
    check("""
        buys       1  0.60  tx 0xb
        and buys   1  0.50  tx 0xb
        and buys   1  0.70  tx 0xa
        sells      3  1
        closes     1  0.70  0.30
        closes     1  0.50  0.50
        closes     1  0.60  0.40
    """)


def test_transactions_are_told_apart_to_their_fifteenth_digit():
    check("""
        buys       1  0.40  tx 0xfffffffffffffff
        and buys   1  0.50  tx 0xffffffffffffffe
        sells      1  0.60
        closes     1  0.50  0.10
        keeps      1  0.40
    """)


def test_resolution_pays_the_winner_and_a_dead_loser_is_a_loss_that_day():
    check("""
        had       10  0.40
        had       10  0.30  of no
        resolves   1
        closes    10  0.30  -3  of no
        closes    10  0.40   6
        trip      -3
        trip       6
    """)


def test_a_payout_of_one_half_is_rounded_half_to_even():
    check("""
        had       0.000003  0.333333
        had       0.000005  0.2  of no
        resolves  0.5
        closes    0.000005  0.2       0.000001  of no
        closes    0.000003  0.333333  0.000001
    """)


def test_a_fill_at_the_instant_of_resolution_comes_before_it():
    check("""
        had        10  0.40
        resolves    1
        and sells   4  0.90
        closes      4  0.40  2
        closes      6  0.40  3.6
    """)


def test_a_purchase_after_resolution_closes_at_the_payout_at_once():
    check("""
        resolves   1
        buys       5  0.90
        closes     5  0.90  0.50
        trip       0.50
    """)


def test_a_sale_after_resolution_takes_back_paid_shares_as_a_trip_of_its_own():
    check("""
        had       10  0.40
        resolves   1
        buys       5  0.90
        sells     12  0.95
        sells     10  0.90
        closes    10  0.40   6
        closes     5  0.90   0.50
        closes    12  1     -0.60
        closes     3  1     -0.30
        lacks      7  6.30
        trip       6
        trip       0.50
        trip      -0.60
        trip      -0.30
    """)


def test_dust_belongs_to_the_next_trip_of_the_token():
    check("""
        had     10      0.50
        sells    9.995  0.60
        buys    10      0.50
        sells   10.005  0.60
        closes   9.995  0.50  0.9995
        closes   0.005  0.50  0.0005
        closes  10      0.50  1
        trip    0.9995
        trip    1.0005
    """)


def test_dust_skips_the_shares_taken_back_before_the_next_trip():
    check("""
        had        10      0.50
        sells       9.995  0.60
        resolves    1
        sells       0.005  0.40
        buys        1      0.90
        closes      9.995  0.50   0.9995
        closes      0.005  0.50   0.0025
        closes      0.005  1     -0.003
        closes      1      0.90   0.10
        trip        0.9995
        trip       -0.003
        trip        0.1025
    """)


def test_a_hundredth_of_a_share_is_not_flat():
    check("""
        had     10    0.50
        sells    9.99 0.60
        closes   9.99 0.50  0.999
        keeps    0.01 0.50
        coverage 1
    """)
    run = Run(World((buy(1, 10, 5), sell(2, 9.99, 5.994)), (), (market(),)))
    assert found_in(run)["trip"] == []


def test_a_split_is_divided_by_the_last_prices_of_anyone():
    check("""
        others    0.60
        others    0.20  of no
        splits   10
        sells    10  0.90
        closes   10  0.75  1.5
        keeps    10  0.25  of no
    """)


def test_a_split_without_a_price_of_each_outcome_is_divided_equally_and_the_last_takes_the_rest():
    check("""
        others    0.60
        splits    0.000003
        keeps     0.000003  0.666667  of no
        keeps     0.000003  0.333333
    """)


def test_a_price_of_the_same_instant_does_not_divide_a_split():
    check("""
        others       0.30
        others       0.70  of no
        others       0.90
        and splits  10
        keeps       10  0.7  of no
        keeps       10  0.3
    """)


def test_a_merge_is_divided_likewise_and_may_lack_one_side():
    check("""
        others    0.60
        others    0.20  of no
        splits   10
        sells    10  0.90
        merges    4
        closes   10  0.75   1.5
        closes    4  0.25  -0.272727  of no
        lacks     4  3.272727
        keeps     6  0.25  of no
        coverage 0.7777777777777778
    """)


def test_a_redemption_before_the_payout_is_known_closes_at_what_it_brought():
    check("""
        had       10  0.40
        redeems   10  1     of yes
        closes    10  0.40  6
        coverage 1
    """)


def test_a_redemption_at_or_after_the_payout_is_cash_only():
    check("""
        had            10  0.40
        resolves        1
        and redeems    10  1  of yes
        redeems        10  1  of yes
        closes         10  0.40  6
    """)


def test_a_redemption_that_names_no_token_is_unexplained_before_the_payout():
    check("""
        had       10  0.40
        redeems   10  1
        keeps     10  0.40
        coverage  0
    """)


def test_a_conversion_of_an_unknown_set_is_unexplained():
    check("""
        had       10  0.40  of no
        converts  10        of no
        keeps     10  0.40  of no
        coverage  0
    """)


def test_a_token_of_no_known_market_has_a_ledger_of_its_own_event():
    fills = (buy(1, 10, 4, token_id="lost", condition_id="gone"),
             sell(2, 4, 2, token_id="lost", condition_id="gone"))  # fmt: skip
    (row,) = Run(World(fills, (), (market(),))).ledger.closed_lots.to_dicts()
    assert (row["realised_pnl_usdc"], row["event_slug"]) == (400_000, row["condition_id"])
