# Two NVMe disks as mirrors of each other, bootable from either. The journal has a file system of its own, which nothing
# else can fill; so has a node, where there is one.
let
  disk = device: {
    type = "disk";
    inherit device;
    content = {
      type = "gpt";
      partitions = {
        boot = {
          size = "1M";
          type = "EF02";
        };
        system = {
          size = "100G";
          content = {
            type = "mdraid";
            name = "system";
          };
        };
        journal = {
          size = "100G";
          content = {
            type = "mdraid";
            name = "journal";
          };
        };
        data = {
          size = "100%";
          content = {
            type = "mdraid";
            name = "data";
          };
        };
      };
    };
  };

  mirror = mountpoint: {
    type = "mdadm";
    level = 1;
    content = {
      type = "filesystem";
      format = "ext4";
      inherit mountpoint;
      mountOptions = [ "noatime" ];
    };
  };
in
{
  disko.devices = {
    disk = {
      first = disk "/dev/nvme0n1";
      second = disk "/dev/nvme1n1";
    };
    mdadm = {
      system = mirror "/";
      journal = mirror "/var/lib/hlhft-journal";
      data = mirror "/var/lib/hlhft-catalogue";
    };
  };
}
