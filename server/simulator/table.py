"""The caches besides kmalloc: `name size kind factor base swing [r]`, in the kernel's order (see CacheModel).

Kinds: c constant, w wander, l load, f fill, b boot. Factors: p processes, n network, i block I/O, f file names.
"""

from __future__ import annotations

__all__ = ["TABLE"]

TABLE = """
ip_vs_conn 256 l n 400 9000
mlx5_fs_ftes 576 c - 42 0
mlx5_fs_ftes 576 c - 14 0
mlx5_fs_fgs 704 c - 46 0
raid5/md0 1792 c - 256 0
dm_bufio_buffer-16-2 168 c - 0 0
kcopyd_job 3312 c - 0 0
dm_uevent 2888 c - 0 0
nf_conntrack 320 l n 300 7000
nf_conntrack_expect 208 c - 0 0
rpc_inode_cache 704 c - 22 0 r
rpc_buffers 2048 c - 16 0
rpc_tasks 256 c - 16 0
nfs_direct_cache 224 c - 0 0
nfs_commit_data 704 c - 4 0
nfs_inode_cache 1080 f f 40 2600 r
fuse_request 152 c - 0 0
fuse_inode 832 c - 0 0 r
ovl_inode 688 f f 200 9000 r
xfs_dqtrx 528 c - 0 0
xfs_dquot 504 c - 0 0
xfs_rui_item 688 c - 0 0
xfs_rud_item 176 c - 0 0
xfs_inode 1024 f f 900 26000 r
xfs_ili 200 f f 300 4000 r
xfs_efd_item 440 w i 40 10
xfs_buf_item 272 l i 180 400
xfs_trans 232 l i 120 140
xfs_da_state 480 c - 34 0
xfs_btree_cur 232 l i 34 60
xfs_log_ticket 184 l i 150 160
xfs_buf 384 f f 900 12000 r
scsi_sense_cache 128 l i 640 160
scsi_cmd_cache 512 l i 640 160
sd_ext_cdb 32 c - 128 0
ext4_groupinfo_4k 184 c - 3300 0 r
bio-128 192 w i 63 8
fsverity_info 256 c - 0 0
fscrypt_info 128 c - 0 0 r
MPTCPv6 2176 c - 0 0
request_sock_subflow_v6 384 c - 0 0
ip6-frags 184 c - 0 0
ip6_dst_cache 256 w n 48 12
PINGv6 1216 c - 0 0
RAWv6 1216 c - 26 0
UDPv6 1344 w n 48 10
tw_sock_TCPv6 272 l n 0 20
request_sock_TCPv6 312 l n 0 6
TCPv6 2496 l n 18 20
sgpool-128 4096 c - 8 0
mqueue_inode_cache 960 c - 8 0
jbd2_journal_head 120 l i 70 1500 r
jbd2_journal_handle 56 w i 73 10 r
jbd2_transaction_s 256 w i 32 12 r
jbd2_revoke_table_s 16 c - 512 0 r
jbd2_revoke_record_s 32 l i 128 300 r
ext4_fc_dentry_update 96 c - 0 0 r
ext4_inode_cache 1192 f f 5200 62000 r
ext4_allocation_context 136 w i 90 8 r
ext4_system_zone 40 c - 102 0 r
ext4_io_end 64 l i 64 200 r
ext4_pending_reservation 32 l i 128 500 r
ext4_extent_status 40 f f 2200 42000 r
mbcache 56 c - 73 0 r
kioctx 576 c - 0 0
userfaultfd_ctx_cache 192 c - 0 0
dnotify_struct 32 c - 0 0
pid_namespace 136 c - 30 0
ip4-frags 200 c - 0 0
MPTCP 1984 c - 0 0
request_sock_subflow_v4 384 c - 0 0
xfrm_dst_cache 320 c - 0 0
xfrm_state 768 c - 0 0
ip_fib_trie 48 c - 85 0
ip_fib_alias 56 c - 73 0
PING 1024 c - 8 0
RAW 1024 c - 32 0
UDP 1216 w n 96 9
tw_sock_TCP 272 l n 20 1100
request_sock_TCP 312 l n 13 60
TCP 2304 l n 70 420
hugetlbfs_inode_cache 664 c - 24 0
dquot 256 c - 16 0 r
bio-256 320 w i 60 10
ep_head 16 w p 256 8
inotify_inode_mark 80 w p 920 4
dax_cache 832 c - 19 0 r
request_queue_srcu 1360 c - 0 0
request_queue 968 c - 24 0
blkdev_ioc 88 w p 92 8
bio-192 256 l i 80 60
biovec-max 4096 l i 64 40
biovec-128 2048 l i 16 14
biovec-64 1024 l i 16 24
biovec-32 512 l i 16 24
khugepaged_mm_slot 112 w p 60 8
user_namespace 624 c - 0 0
sock_inode_cache 832 l n 620 460 r
skbuff_ext_cache 192 w n 63 14
skbuff_fclone_cache 512 l n 40 170
skbuff_head_cache 256 l n 480 900
file_lock_cache 216 w p 36 14
file_lock_ctx 56 w p 146 6
buffer_head 104 f f 2400 110000 r
taskstats 416 c - 19 0
task_delay_info 144 w p 640 6
proc_dir_entry 192 b - 735 0
pde_opener 40 w p 204 10
proc_inode_cache 712 f f 420 6400 r
seq_file 120 w p 136 10
sigqueue 80 w p 102 10
bdev_cache 1600 c - 40 0 r
shmem_inode_cache 784 w p 1150 5
kernfs_iattrs_cache 88 c - 46 0
kernfs_node_cache 128 b - 38200 0
mnt_cache 320 w p 150 6
filp 256 l n 3600 1500
inode_cache 640 f f 14200 21500 r
dentry 192 f f 26000 190000 r
names_cache 4096 w p 16 10
net_namespace 4288 c - 7 0
iint_cache 128 c - 0 0
lsm_inode_cache 32 f f 24000 160000 r
lsm_file_cache 24 l n 3400 1500
avc_xperms_data 32 c - 0 0
uts_namespace 432 c - 0 0
nsproxy 72 w p 112 8
vm_area_struct 152 w p 13800 6
files_cache 704 w p 230 6
fs_cache 64 w p 320 6
signal_cache 1152 w p 290 5
sighand_cache 2112 w p 285 5
task_struct 8384 w p 310 5
cred_jar 192 w p 1500 7
anon_vma_chain 64 w p 9600 7
anon_vma 104 w p 5400 6
pid 128 w p 520 6
mm_struct 1152 w p 150 7
uid_cache 128 w p 64 8
key_jar 256 c - 64 0
Acpi-Operand 72 b - 2128 0
Acpi-ParseExt 104 c - 39 0
Acpi-State 80 c - 153 0
Acpi-Namespace 40 b - 1326 0
shared_policy_node 48 w p 1020 8
numa_policy 272 c - 15 0
perf_event 1232 c - 26 0
trace_event_file 96 b - 2310 0
ftrace_event_field 56 b - 6132 0
pool_workqueue 512 w p 200 3
maple_node 256 w p 2300 6
radix_tree_node 584 f f 3200 23000 r
task_group 640 c - 96 0
vmap_area 64 w p 2600 6
debugfs_inode_cache 648 c - 216 0 r
dmaengine-unmap-256 2112 c - 15 0
dmaengine-unmap-128 1088 c - 15 0
dmaengine-unmap-16 192 c - 21 0
dmaengine-unmap-2 64 c - 64 0
iommu_iova 64 l i 128 900
eventpoll_epi 128 l n 620 420
eventpoll_pwq 72 l n 560 420
inet_peer_cache 192 w n 42 14
fasync_cache 48 c - 85 0
audit_buffer 24 c - 170 0
fsnotify_mark_connector 32 w p 640 4
ebitmap_node 64 c - 0 0
avtab_node 24 c - 0 0
kmem_cache_node 64 c - 448 0
kmem_cache 256 c - 400 0
"""
