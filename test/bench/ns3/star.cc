/**
 * The star of test/bench/star.mjs in ns-3: hosts behind one switch, each sends UDP datagrams of one size to the next at
 * a constant rate. Prints one line of JSON with the CPU time of the measured part.
 *
 *   star --link=csma|p2p --hosts=16 --size=64 --interval=100000 --warm=N --packets=N [--checksums] [--hops]
 *
 * Links: csma is CsmaNetDevice under a BridgeNetDevice, ns-3's switched Ethernet; p2p is PointToPointNetDevice, which
 * can't be bridged, with a router in the middle. A hop is a packet through one device's transmit and its peer's receive;
 * --hops counts them by trace sources, in a run of its own, since counting costs time.
 *
 * Whatever makes ns-3 slower without being part of the job is left out: no IPv6, no queue disciplines, no flow monitor,
 * a sender and a receiver without trace sources, payloads that are only a length.
 */
#include "ns3/bridge-module.h"
#include "ns3/core-module.h"
#include "ns3/csma-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

using namespace ns3;

namespace
{

const uint16_t PORT = 5000;

uint64_t g_received = 0;
uint64_t g_bytes = 0;
uint64_t g_hops = 0;
uint64_t g_cpu = 0;

/** CPU time of this process in ns. */
uint64_t
CpuNs()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return uint64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

void
Receive(Ptr<Socket> socket)
{
    while (Ptr<Packet> packet = socket->Recv())
    {
        g_received++;
        g_bytes += packet->GetSize();
    }
}

void
Hop(Ptr<const Packet> packet)
{
    // Datagrams only: a frame with ARP is padded to 64 bytes, one with a datagram of 64 bytes has 110.
    if (packet->GetSize() > 64)
    {
        g_hops++;
    }
}

/** Sends a datagram every interval, `left` of them. */
class Flow
{
  public:
    Flow(Ptr<Socket> socket, uint32_t size, Time interval, uint64_t left)
        : m_socket(socket),
          m_size(size),
          m_interval(interval),
          m_left(left)
    {
    }

    void Tick()
    {
        if (m_left == 0)
        {
            return;
        }
        m_left--;
        m_socket->Send(Create<Packet>(m_size));
        Simulator::Schedule(m_interval, &Flow::Tick, this);
    }

  private:
    Ptr<Socket> m_socket;
    uint32_t m_size;
    Time m_interval;
    uint64_t m_left;
};

/** Connects the hosts to the switch; returns the hosts' addresses. */
std::vector<Ipv4Address>
Connect(const std::string& link, NodeContainer hosts, Ptr<Node> middle, Time delay)
{
    const DataRate rate("10Gbps");
    InternetStackHelper internet;
    internet.SetIpv6StackInstall(false);
    internet.Install(hosts);
    if (link == "p2p")
    {
        internet.Install(middle);
    }

    Ipv4AddressHelper addresses;
    addresses.SetBase(link == "p2p" ? "10.0.0.0" : "192.168.77.0", link == "p2p" ? "255.255.255.252" : "255.255.255.0");
    TrafficControlHelper queues;
    std::vector<Ipv4Address> found;
    NetDeviceContainer ends;
    NetDeviceContainer ports;
    for (uint32_t i = 0; i < hosts.GetN(); i++)
    {
        NodeContainer pair(hosts.Get(i), middle);
        NetDeviceContainer both;
        if (link == "csma")
        {
            CsmaHelper csma;
            csma.SetChannelAttribute("DataRate", DataRateValue(rate));
            csma.SetChannelAttribute("Delay", TimeValue(delay));
            both = csma.Install(pair);
        }
        else if (link == "p2p")
        {
            PointToPointHelper wire;
            wire.SetDeviceAttribute("DataRate", DataRateValue(rate));
            wire.SetChannelAttribute("Delay", TimeValue(delay));
            both = wire.Install(pair);
            Ipv4InterfaceContainer assigned = addresses.Assign(both);
            queues.Uninstall(both);
            addresses.NewNetwork();
            found.push_back(assigned.GetAddress(0));
        }
        else
        {
            NS_FATAL_ERROR("no link " << link);
        }
        ends.Add(both.Get(0));
        ports.Add(both.Get(1));
    }
    if (link == "p2p")
    {
        Ipv4GlobalRoutingHelper::PopulateRoutingTables();
        return found;
    }
    BridgeHelper bridge;
    bridge.Install(middle, ports);
    Ipv4InterfaceContainer assigned = addresses.Assign(ends);
    queues.Uninstall(ends);
    for (uint32_t i = 0; i < assigned.GetN(); i++)
    {
        found.push_back(assigned.GetAddress(i));
    }
    return found;
}

/** Counts what devices receive, by the trace source that each kind has. */
void
CountHops(const std::string& link)
{
    const std::string kind = link == "csma" ? "CsmaNetDevice" : "PointToPointNetDevice";
    Config::ConnectWithoutContext("/NodeList/*/DeviceList/*/$ns3::" + kind + "/PhyRxEnd", MakeCallback(&Hop));
}

} // namespace

int
main(int argc, char* argv[])
{
    std::string link = "csma";
    uint32_t count = 16;
    uint32_t size = 64;
    uint64_t interval = 100000;
    uint64_t warm = 1600;
    uint64_t packets = 16000;
    bool checksums = false;
    bool hops = false;
    CommandLine cmd(__FILE__);
    cmd.AddValue("link", "csma or p2p", link);
    cmd.AddValue("hosts", "hosts behind the switch", count);
    cmd.AddValue("size", "bytes of a datagram", size);
    cmd.AddValue("interval", "ns between two datagrams of a host", interval);
    cmd.AddValue("warm", "datagrams before the measured ones", warm);
    cmd.AddValue("packets", "datagrams to measure", packets);
    cmd.AddValue("checksums", "compute and verify checksums", checksums);
    cmd.AddValue("hops", "count hops, of all datagrams", hops);
    cmd.Parse(argc, argv);
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(checksums));

    NodeContainer hosts(count);
    Ptr<Node> middle = CreateObject<Node>();
    const std::vector<Ipv4Address> addresses = Connect(link, hosts, middle, MicroSeconds(1));
    if (hops)
    {
        CountHops(link);
    }

    std::vector<Flow*> flows;
    for (uint32_t i = 0; i < count; i++)
    {
        Ptr<Socket> sink = Socket::CreateSocket(hosts.Get(i), UdpSocketFactory::GetTypeId());
        sink->Bind(InetSocketAddress(Ipv4Address::GetAny(), PORT));
        sink->SetRecvCallback(MakeCallback(&Receive));
        Ptr<Socket> source = Socket::CreateSocket(hosts.Get(i), UdpSocketFactory::GetTypeId());
        source->Connect(InetSocketAddress(addresses[(i + 1) % count], PORT));
        Flow* flow = new Flow(source, size, NanoSeconds(interval), (warm + packets) / count);
        flows.push_back(flow);
        Simulator::Schedule(NanoSeconds(1000000 + interval * i / count), &Flow::Tick, flow);
    }

    Simulator::Stop(NanoSeconds(1000000 + interval * (warm / count)));
    Simulator::Run();
    const uint64_t before = g_received;
    g_cpu = CpuNs();
    // The last ones need a while to arrive.
    Simulator::Stop(NanoSeconds(interval * (packets / count) + 1000000));
    Simulator::Run();
    g_cpu = CpuNs() - g_cpu;
    std::printf("{\"measured\":%llu,\"received\":%llu,\"bytes\":%llu,\"hops\":%llu,\"cpuNs\":%llu}\n",
                (unsigned long long)(g_received - before),
                (unsigned long long)g_received,
                (unsigned long long)g_bytes,
                (unsigned long long)g_hops,
                (unsigned long long)g_cpu);
    Simulator::Destroy();
    for (Flow* flow : flows)
    {
        delete flow;
    }
    return 0;
}
