using Sync.Orchestrator.Commands;

namespace Sync.Tests.Orchestrator;

/// <summary>The newest record of each customer, of more customers than are held at a time.</summary>
public sealed class NewestRecordsTests
{
    const int Most = 50;
    const int Customers = 1_000;

    [Fact]
    public void However_many_customers_there_are_few_are_held_at_a_time_and_each_is_seen_once_with_its_newest_record()
    {
        var chance = new Random(4711);
        List<(Guid Customer, NewestRecord Record)> topic = [];
        for (var i = 0; i < Customers * 3; i++)
        {
            var bytes = new byte[16];
            new Random(i % Customers).NextBytes(bytes);
            topic.Add((new Guid(bytes), new(chance.Next(1, 100), Deleted: i % 7 == 0, Partition: i % 4, Offset: i)));
        }

        var newest = new NewestRecords(Most);
        Dictionary<Guid, NewestRecord> seen = [];
        var held = 0;
        do
        {
            foreach (var (customer, record) in topic)
            {
                newest.Note(customer, record);
                held = Math.Max(held, newest.Customers.Count);
            }

            foreach (var (customer, record) in newest.Customers)
                Assert.True(seen.TryAdd(customer, record), "a customer was in two shares");
        } while (newest.Next());

        Assert.Equal(Most, held);
        Assert.Equal(
            topic
                .GroupBy(t => t.Customer)
                .ToDictionary(
                    g => g.Key,
                    // Of two records with one revision the first counts: the second is a copy.
                    g => g.Select(t => t.Record).OrderByDescending(r => r.Revision).ThenBy(r => r.Offset).First()
                ),
            seen
        );
    }

    [Fact]
    public void Few_customers_are_one_share()
    {
        var newest = new NewestRecords(Most);
        for (var i = 0; i < Most; i++)
            newest.Note(Guid.NewGuid(), new(1, Deleted: false, Partition: 0, Offset: i));

        Assert.Equal(Most, newest.Customers.Count);
        Assert.False(newest.Next());
        Assert.Equal(Most, newest.Customers.Count);
    }
}
